"""Removes resumable uploads of which nothing has come for too long, and later forgets them."""

from __future__ import annotations

import structlog

from pipeline.tidying.context import TidyContext
from storage.clock import now_ms
from storage.documents import job_folder
from storage.resumable_uploads import ResumableUpload, UploadState

log = structlog.get_logger("tidier")


class UploadExpiry:
    """Steps of the tidier. Each handles one batch and returns whether there is more to do now."""

    def __init__(self, context: TidyContext) -> None:
        self._context = context

    async def remove_expired_uploads(self) -> bool:
        """Remove the parts of uploads that have expired."""
        limit, expired = self._context.settings.sweeper.batch, 0

        async def expire(upload: ResumableUpload) -> None:
            nonlocal expired
            expired += await self._expire(upload)

        await self._context.for_each(await self._context.uploads.find_expired(limit=limit), expire)
        return expired == limit

    async def forget_ended_uploads(self) -> bool:
        """Delete the documents of uploads that ended long ago; until then their clients are answered 410."""
        settings = self._context.settings
        before_ms, limit = now_ms() - int(settings.resumable.expires * 1000), settings.sweeper.batch
        return await self._context.uploads.delete_ended(before_ms=before_ms, limit=limit) == limit

    async def _expire(self, upload: ResumableUpload) -> bool:
        """Mark the upload, then remove its folder. After a crash in between, the folder is an orphan.

        If a gateway died just after it had inserted the job, the folder is that job's, and so are the parts in it.
        """
        if not await self._context.uploads.end(upload, UploadState.EXPIRED, expired=True):
            return False
        if await self._context.jobs.find_missing([upload.id]):
            await self._context.call(self._context.blobs.remove_folder, job_folder(upload.id))
            log.info("upload.expired", task_id=upload.id, bytes=upload.offset)
        else:
            await self._context.uploads.complete(upload, expires_ms=upload.expires_ms)
        return True

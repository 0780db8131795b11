"""The reception of bytes of a resumable upload: stored in parts, recorded one by one; the last ones make the job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from gateway.problems import FormatNotAllowed, Problem
from gateway.resumable.body import UploadBody
from gateway.resumable.completion import build_offset_mismatch, complete, compute_expiry_ms, explain_missing_part
from gateway.resumable.endings import check_open
from gateway.resumable.parts import PartStore, remove_bytes
from gateway.schemas import Accepted
from gateway.submission.submission import Submission
from stages.errors import StageError
from stages.formats import HEAD_BYTES, recognize
from storage.errors import TRANSIENT_ERRORS
from storage.resumable_uploads import Part, ResumableUpload, UploadState

log = structlog.get_logger("gateway")


class Reception:
    """One body on its way into an upload."""

    def __init__(self, submission: Submission, body: UploadBody, store: PartStore) -> None:
        self._submission = submission
        self._uploads = submission.stores.resumable_uploads
        self._body = body
        self._store = store

    async def receive(self, upload: ResumableUpload) -> tuple[ResumableUpload, Accepted | None]:
        """Record each part when it is stored, or all of them once the checksum matches; the last bytes with the job."""
        body, new = self._body, list[Part]()
        async with self._remove_on_failure(upload, new):
            while await body.has_more():
                start = new[-1].end if new else upload.offset
                new.append(await self._store_part(upload, start))
                await self._check_format(upload, new)
                if body.checksum is None and new[-1].end < upload.length:
                    upload = await self._append(upload, new)
            is_whole = upload.length == (new[-1].end if new else upload.offset)
            if body.checksum is not None:
                if body.interruption and not is_whole:
                    raise body.interruption
                body.checksum.verify()
            if is_whole:
                parts = [*upload.sorted_parts, *new]
                return upload, await complete(upload, parts, store=self._store, submission=self._submission)
            if new:
                upload = await self._append(upload, new)
        if body.interruption:
            raise body.interruption
        return upload, None

    async def _store_part(self, upload: ResumableUpload, start: int) -> Part:
        """Store the next part. If another request removes the upload meanwhile, its folder may be gone."""
        try:
            return await self._store.store(upload, self._body, start=start)
        except FileNotFoundError:
            if (await self._uploads.get(upload.id)).state is UploadState.OPEN:
                raise
            raise await self._explain_overtaken(upload) from None

    async def _append(self, upload: ResumableUpload, new: list[Part]) -> ResumableUpload:
        """Record the new parts, and return the upload as this request has made it.

        It is not read again: another request may have gone further with it, to where this body does not continue. The
        list is emptied first: if the database does not answer, the parts may be recorded.
        """
        parts, expires_ms = list(new), compute_expiry_ms(self._submission.settings)
        new.clear()
        if not await self._uploads.append(upload, parts, expires_ms=expires_ms):
            await self._store.remove(upload, [part.name for part in parts])
            raise await self._explain_overtaken(upload)
        return await self._merge(upload.with_parts(parts, expires_ms=expires_ms))

    async def _merge(self, upload: ResumableUpload) -> ResumableUpload:
        """Merge parts if there are too many. If a store fails, a later request does it."""
        parts = self._store.choose_parts_to_merge(upload)
        with suppress(*TRANSIENT_ERRORS):
            if parts:
                merged = await self._store.merge(upload, parts)
                if await self._uploads.replace_parts(upload, parts, merged):
                    await self._store.remove(upload, [part.name for part in parts])
                    return upload.with_merged(parts, merged)
                await self._store.remove(upload, [merged.name])  # another request has merged some of them
        return upload

    async def _check_format(self, upload: ResumableUpload, new: list[Part]) -> None:
        """End the upload if its first bytes show that no job would be made of it."""
        needed = min(HEAD_BYTES, upload.length)
        if not upload.offset < needed <= new[-1].end or new[0].start != upload.offset or len(new) > 1:
            return
        try:
            head = await self._store.read_head(upload, [*upload.sorted_parts, *new])
        except FileNotFoundError:
            raise await explain_missing_part(upload, self._submission) from None
        try:
            sniffed = recognize(head, self._submission.settings.limits)
            self._submission.permission.check_format(sniffed.format)
        except (StageError, FormatNotAllowed) as error:
            if await self._uploads.end(upload, UploadState.REFUSED):
                await remove_bytes(self._submission.stores.blobs, upload)
                log.info("upload.refused", task_id=upload.id, code=error.code)
            raise

    async def _explain_overtaken(self, upload: ResumableUpload) -> Problem:
        """Return the problem of bytes that cannot be recorded: the upload has ended, or others were recorded first."""
        found = await self._uploads.get(upload.id)
        if found.state is not UploadState.COMPLETE:
            check_open(found)
        return build_offset_mismatch(found.offset)

    @asynccontextmanager
    async def _remove_on_failure(self, upload: ResumableUpload, new: list[Part]) -> AsyncIterator[None]:
        """Remove the parts that are not recorded, if the block raises."""
        try:
            yield
        except BaseException:
            if new:
                await asyncio.shield(self._store.remove(upload, [part.name for part in new]))
            raise

"""Resumable uploads as requests see them: create one, find one, receive bytes, remove one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends

from gateway.concurrency_limit import ConcurrencyLimit
from gateway.middleware.rate_limit import caller_of
from gateway.problems import (
    RETRY_AFTER_SECONDS,
    BodyTooLarge,
    FormatNotAllowed,
    TooManyUnfinished,
    UploadComplete,
    UploadEnded,
    UploadExpired,
)
from gateway.resumable.body import UploadBody
from gateway.resumable.completion import build_offset_mismatch, complete, record_completion
from gateway.resumable.parts import PartStore, remove_bytes
from gateway.resumable.protocol import parse_metadata
from gateway.resumable.request_form import read_request_form
from gateway.schemas import Accepted
from gateway.sizes import format_size
from gateway.submission.submission import Submission, SubmissionDep
from stages.errors import EmptyFile, StageError
from stages.formats import HEAD_BYTES, recognize
from storage.clock import now_ms
from storage.errors import TRANSIENT_ERRORS, JobNotFound
from storage.resumable_uploads import Part, ResumableUpload, UploadState

log = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload has come, and its job once it is complete."""

    upload: ResumableUpload
    job: Accepted | None = None

    @property
    def offset(self) -> int:
        """Number of bytes that are stored."""
        return self.upload.length if self.job else self.upload.offset


async def _create_service(submission: SubmissionDep) -> UploadService:
    return UploadService(submission)


class UploadService:
    """What one request does with a resumable upload."""

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self._stores = submission.stores
        self._uploads = submission.stores.resumable_uploads
        self._settings = submission.settings
        self._request = submission.request

    async def create(self, length: int, metadata: str | None) -> ResumableUpload:
        """Create an upload, if its job could be accepted. Raises a `Problem` or a `StageError` if not."""
        permission, caller = self._submission.permission, caller_of(self._request.scope)
        self._check_length(length)
        await permission.check_uses(self._submission.stores.token_uses)
        read_request_form(parse_metadata(metadata), self._settings.limits, strict=self._settings.forms.strict)
        await self._check_share(caller)
        async with self._submission.room.hold(self._stores.blobs, length):
            upload = ResumableUpload(
                id=self._submission.job_id,
                owner=permission.owner,
                token_id=permission.token_id,
                caller=caller,
                length=length,
                metadata=metadata,
                expires_ms=self._expires_ms(),
            )
            await self._uploads.insert(upload)
        log.info("upload.created", task_id=upload.id, bytes=length)
        return upload

    async def find(self, upload_id: str) -> Progress:
        """Return an upload of this caller that is open or complete. Raises `UploadNotFound` or `UploadEnded`."""
        permission = self._submission.permission
        upload = await self._uploads.get(upload_id, owner=permission.owner, token_id=permission.token_id)
        self._submission.job_id = upload.id
        if upload.state is UploadState.COMPLETE or upload.inserting_until_ms:
            with suppress(JobNotFound):
                return await self._find_complete(upload)
        if upload.state is not UploadState.OPEN:
            raise _build_ended(upload)
        if upload.expires_ms < now_ms():
            raise _build_expired()
        return Progress(upload)

    async def _find_complete(self, upload: ResumableUpload) -> Progress:
        """Return an upload with its job. If a gateway died between the two, record that the job exists."""
        job = await self._submission.repeat_answer()
        if upload.state is not UploadState.COMPLETE:
            original = (await self._stores.jobs.get(upload.id)).original
            await record_completion(upload, original, self._stores, self._settings)
        return Progress(upload, job)

    async def receive(self, progress: Progress, offset: int) -> Progress:
        """Store the request's body at `offset`. With the last bytes, the upload becomes a job."""
        if progress.job is not None:
            return await self._repeat(progress, offset)
        upload = progress.upload
        if offset != upload.offset:
            raise build_offset_mismatch(upload.offset)
        body = UploadBody(self._request, max_bytes=upload.length - upload.offset)
        uploads: ConcurrencyLimit = self._request.app.state.uploads
        blobs, part_bytes = self._stores.blobs, self._settings.resumable.part_bytes
        with uploads.hold(caller_of(self._request.scope)):
            async with self._submission.room.hold(blobs, body.max_bytes) as room:
                store = PartStore(blobs, room, part_bytes=part_bytes)
                return await self._receive(upload, body, store)

    async def remove(self, progress: Progress) -> None:
        """Remove an open upload and its bytes."""
        upload = progress.upload
        if progress.job is None and not await self._uploads.end(upload, UploadState.REMOVED):
            progress = await self.find(upload.id)  # it has just ended, or is about to become a job
        elif progress.job is None:
            await remove_bytes(self._stores.blobs, upload)
            log.info("upload.removed", task_id=upload.id)
            return
        raise UploadComplete(
            f"The upload is complete, and becomes the job {upload.id}. To remove that, send DELETE /jobs/{upload.id}."
        )

    async def discard(self, upload: ResumableUpload) -> None:
        """Remove an upload that its client does not know of, as its creation has failed."""
        with suppress(*TRANSIENT_ERRORS):  # then it expires
            if await self._uploads.end(upload, UploadState.REMOVED):
                await remove_bytes(self._stores.blobs, upload)

    async def _receive(self, upload: ResumableUpload, body: UploadBody, store: PartStore) -> Progress:
        """Record each part when it is stored, or all of them once the checksum matches; the last bytes with the job."""
        new: list[Part] = []
        async with self._remove_on_failure(upload, new, store):
            while await body.has_more():
                start = new[-1].end if new else upload.offset
                new.append(await store.store(upload, body, start=start))
                await self._check_format(upload, new, store)
                if body.checksum is None and new[-1].end < upload.length:
                    upload = await self._append(upload, new, store)
            is_whole = upload.length == (new[-1].end if new else upload.offset)
            if body.checksum is not None:
                if body.interruption and not is_whole:
                    raise body.interruption
                body.checksum.verify()
            if is_whole:
                job = await complete(upload, [*upload.sorted_parts, *new], store=store, submission=self._submission)
                return Progress(upload, job)
            if new:
                upload = await self._append(upload, new, store)
        if body.interruption:
            raise body.interruption
        return Progress(upload)

    async def _append(self, upload: ResumableUpload, new: list[Part], store: PartStore) -> ResumableUpload:
        """Record the new parts, and return the upload as this request has made it.

        It is not read again: another request may have gone further with it, to where this body does not continue. The
        list is emptied first: if the database does not answer, the parts may be recorded.
        """
        parts, expires_ms = list(new), self._expires_ms()
        new.clear()
        if not await self._uploads.append(upload, parts, expires_ms=expires_ms):
            await store.remove(upload, [part.name for part in parts])
            raise build_offset_mismatch((await self.find(upload.id)).offset)
        return await self._merge(upload.with_parts(parts, expires_ms=expires_ms), store)

    async def _merge(self, upload: ResumableUpload, store: PartStore) -> ResumableUpload:
        """Merge parts if there are too many. If a store fails, a later request does it."""
        parts = store.choose_parts_to_merge(upload)
        with suppress(*TRANSIENT_ERRORS):
            if parts:
                merged = await store.merge(upload, parts)
                if await self._uploads.replace_parts(upload, parts, merged):
                    await store.remove(upload, [part.name for part in parts])
                    return upload.with_merged(parts, merged)
                await store.remove(upload, [merged.name])  # another request has merged some of them
        return upload

    async def _check_format(self, upload: ResumableUpload, new: list[Part], store: PartStore) -> None:
        """End the upload if its first bytes show that no job would be made of it."""
        needed = min(HEAD_BYTES, upload.length)
        if not upload.offset < needed <= new[-1].end or new[0].start != upload.offset or len(new) > 1:
            return
        head = await store.read_head(upload, [*upload.sorted_parts, *new])
        try:
            sniffed = recognize(head, self._settings.limits)
            self._submission.permission.check_format(sniffed.format)
        except (StageError, FormatNotAllowed) as error:
            if await self._uploads.end(upload, UploadState.REFUSED):
                await remove_bytes(self._stores.blobs, upload)
                log.info("upload.refused", task_id=upload.id, code=error.code)
            raise

    async def _repeat(self, progress: Progress, offset: int) -> Progress:
        """Answer the last request again, whose answer the client may not have got. Its bytes are read and dropped."""
        size = 0
        async for chunk in self._request.stream():
            size += len(chunk)
        if offset + size != progress.upload.length:
            raise build_offset_mismatch(progress.upload.length)
        return progress

    @asynccontextmanager
    async def _remove_on_failure(
        self, upload: ResumableUpload, new: list[Part], store: PartStore
    ) -> AsyncIterator[None]:
        """Remove the parts that are not recorded, if the block raises."""
        try:
            yield
        except BaseException:
            if new:
                await asyncio.shield(store.remove(upload, [part.name for part in new]))
            raise

    def _check_length(self, length: int) -> None:
        """Refuse a file by its size."""
        if length == 0:
            raise EmptyFile
        limits = self._submission.permission.limits(self._settings.limits)
        if length > limits.upload_bytes:
            raise BodyTooLarge(f"The file is larger than {format_size(limits.upload_bytes)}. Send a smaller file.")

    async def _check_share(self, caller: str) -> None:
        limit = self._settings.resumable.max_unfinished_per_caller
        if await self._uploads.count_unfinished(caller, limit=limit) >= limit:
            raise TooManyUnfinished(
                f"You have {limit} unfinished uploads, and may have no more at a time. Finish or remove one of them, "
                "then send the request again.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )

    def _expires_ms(self) -> int:
        return now_ms() + int(self._settings.resumable.expires * 1000)


def _build_expired() -> UploadExpired:
    return UploadExpired("The upload has expired, as nothing of it came for too long. Create a new upload.")


def _build_ended(upload: ResumableUpload) -> UploadEnded:
    if upload.state is UploadState.EXPIRED:
        return _build_expired()
    reasons = {
        UploadState.REFUSED: "The upload was refused because of its first bytes. Create a new upload of another file.",
        UploadState.REMOVED: "The upload was removed. Create a new upload.",
        UploadState.COMPLETE: "The upload was complete, and its job has been removed. Create a new upload.",
    }
    return UploadEnded(reasons[upload.state])


UploadServiceDep = Annotated[UploadService, Depends(_create_service)]

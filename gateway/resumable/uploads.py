"""Resumable uploads as requests see them: create one, find one, receive bytes, remove one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends

from gateway.concurrency_limit import ConcurrencyLimit
from gateway.middleware.rate_limit import caller_of
from gateway.problems import (
    RETRY_AFTER_SECONDS,
    BodyTooLarge,
    TooManyUnfinished,
    UploadCompleting,
)
from gateway.resumable.body import UploadBody
from gateway.resumable.completion import build_offset_mismatch, compute_expiry_ms, record_completion
from gateway.resumable.endings import check_open
from gateway.resumable.parts import PartStore, remove_bytes
from gateway.resumable.protocol import parse_metadata
from gateway.resumable.reception import Reception
from gateway.resumable.request_form import read_request_form
from gateway.schemas import Accepted, FieldWarning
from gateway.sizes import format_size
from gateway.submission.submission import Submission, SubmissionDep
from stages.errors import EmptyFile
from storage.errors import TRANSIENT_ERRORS, JobNotFound
from storage.resumable_uploads import ResumableUpload, UploadState

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

    async def create(self, length: int, metadata: str | None) -> tuple[ResumableUpload, list[FieldWarning]]:
        """Create an upload, if its job could be accepted. Raises a `Problem` or a `StageError` if not."""
        permission, caller = self._submission.permission, caller_of(self._request.scope)
        self._check_length(length)
        await permission.check_uses(self._submission.stores.token_uses)
        request = read_request_form(parse_metadata(metadata), self._submission)
        await self._check_share(caller)
        async with self._submission.room.hold(self._stores.blobs, length):
            upload = ResumableUpload(
                id=self._submission.job_id,
                owner=permission.owner,
                token_id=permission.token_id,
                caller=caller,
                length=length,
                metadata=metadata,
                expires_ms=compute_expiry_ms(self._settings),
            )
            await self._uploads.insert(upload)
        log.info("upload.created", task_id=upload.id, bytes=length)
        return upload, [FieldWarning(**warning) for warning in request.warnings]

    async def find(self, upload_id: str) -> Progress:
        """Return an upload of this caller that is open or complete. Raises `UploadNotFound` or `UploadEnded`."""
        permission = self._submission.permission
        upload = await self._uploads.get(upload_id, owner=permission.owner, token_id=permission.token_id)
        self._submission.job_id = upload.id
        may_have_job = upload.state is UploadState.COMPLETE or upload.inserting_until_ms
        if may_have_job and upload.state is not UploadState.REMOVED:
            with suppress(JobNotFound):
                return await self._find_complete(upload)
        check_open(upload)
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
                upload, job = await Reception(self._submission, body, store).receive(upload)
        return Progress(upload, job)

    async def remove(self, progress: Progress) -> None:
        """Remove an open upload and its bytes, or end a complete one, whose job stays."""
        upload = progress.upload
        if progress.job is None and await self._uploads.end(upload, UploadState.REMOVED):
            await remove_bytes(self._stores.blobs, upload)
            log.info("upload.removed", task_id=upload.id)
            return
        if progress.job is None:
            progress = await self.find(upload.id)  # it has just ended, or is about to become a job
        if progress.job is None:
            raise UploadCompleting(
                "The upload is becoming a job at this moment. Send the request again after the time in Retry-After.",
                headers={"Retry-After": "1"},
            )
        await self._uploads.remove_complete(upload)
        log.info("upload.removed", task_id=upload.id)

    async def discard(self, upload: ResumableUpload) -> None:
        """Remove an upload that its client does not know of, as its creation has failed."""
        with suppress(*TRANSIENT_ERRORS):  # then it expires
            if await self._uploads.end(upload, UploadState.REMOVED):
                await remove_bytes(self._stores.blobs, upload)

    async def _repeat(self, progress: Progress, offset: int) -> Progress:
        """Answer the last request again, whose answer the client may not have got. Its bytes are read and dropped."""
        size = 0
        async for chunk in self._request.stream():
            size += len(chunk)
        if offset + size != progress.upload.length:
            raise build_offset_mismatch(progress.upload.length)
        return progress

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


UploadServiceDep = Annotated[UploadService, Depends(_create_service)]

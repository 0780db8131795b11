"""The original of an earlier job, copied for a new one, so that the new job does not depend on the earlier one."""

from __future__ import annotations

import asyncio

from gateway.permission import Permission
from gateway.problems import RETRY_AFTER_SECONDS, NotReady, Problem, SourceGone
from gateway.submission.blob_room import HeldRoom
from gateway.submission.upload_stream import FILE_FIELD
from storage.documents import Job, JobState, Original
from storage.stores import Stores


async def copy_original(
    source_id: str, *, key: str, stores: Stores, permission: Permission, room: HeldRoom
) -> Original:
    """Copy the original of the job `source_id` to the blob `key`.

    Raises `JobNotFound`, `SourceGone`, `StorageFull`, and `NotReady` while the original is not fetched yet.
    """
    source = await permission.get_job(stores.jobs, source_id)
    if source.state is JobState.FAILED:  # its original is kept for a retry of that job only
        raise SourceGone(f"The image of the job {source_id} was refused. Send an image in the field {FILE_FIELD}.")
    if not source.original.is_stored:
        raise _explain_missing(source)
    room.expect_copy(source.original.bytes)
    try:
        await asyncio.to_thread(stores.blobs.copy, source.original.blob, key)
    except FileNotFoundError as error:
        detail = f"The original of the job {source_id} is no longer kept. Send the image in the field {FILE_FIELD}."
        raise SourceGone(detail) from error
    room.use(source.original.bytes)
    return source.original.model_copy(update={"blob": key})


def _explain_missing(source: Job) -> Problem:
    """Return why a job has no original: it is not fetched yet, or never was."""
    if source.is_active:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return NotReady(f"The image of the job {source.id} is not fetched yet. Wait for that job.", headers=headers)
    return SourceGone(f"The image of the job {source.id} was not fetched. Send it in the field {FILE_FIELD}.")

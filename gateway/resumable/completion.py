"""The end of a resumable upload: its parts become the original of a job, once, whatever is killed in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from gateway.problems import OffsetMismatch, Problem, UploadEnded
from gateway.resumable.endings import explain_end
from gateway.resumable.parts import PartStore, remove_bytes
from gateway.resumable.protocol import parse_metadata
from gateway.resumable.request_form import read_request_form
from gateway.schemas import Accepted
from gateway.submission.submission import BeginInsert, Submission
from pipeline.settings import Settings
from storage.clock import now_ms
from storage.documents import Original
from storage.errors import TRANSIENT_ERRORS
from storage.resumable_uploads import Part, ResumableUpload, UploadState
from storage.stores import Stores

TIMEOUTS_OF_INSERT = 8
"""An insert takes this many `mongo_timeout`s at most."""


def build_offset_mismatch(offset: int) -> OffsetMismatch:
    """Return the problem of a request that does not begin where the stored bytes end."""
    return OffsetMismatch(
        f"The stored bytes end at {offset}, and Upload-Offset names another place. "
        "Send HEAD to learn the offset, and go on from there.",
        headers={"Upload-Offset": str(offset)},
    )


def compute_expiry_ms(settings: Settings) -> int:
    """Return when an upload expires of which some bytes have just come (epoch ms)."""
    return now_ms() + int(settings.resumable.expires * 1000)


async def complete(
    upload: ResumableUpload, parts: Sequence[Part], *, store: PartStore, submission: Submission
) -> Accepted:
    """Make the job of all parts and return its answer. `parts` has those, too, that are not recorded.

    The order makes each step repeatable: join the parts, insert the job, record that it exists, remove the parts. The
    last bytes are never recorded without the job, so a client whose gateway was killed sends them again and gets the
    same job. Each attempt writes a blob as large as the file, so the use of a token is counted before, and the blob of
    an attempt that has not come to the insert is removed.
    """
    settings, stores = submission.settings, submission.stores
    request = read_request_form(parse_metadata(upload.metadata), submission)
    await submission.permission.count_use(stores.token_uses, upload.id)
    try:
        original = await store.join(upload, parts, name=request.name, limits=settings.limits)
    except FileNotFoundError:
        raise await explain_missing_part(upload, submission) from None
    async with _remove_unless_inserted(original, upload, store=store, submission=submission) as begin_insert:
        accepted = await submission.accept_original(request.kind, original, request.form, begin_insert=begin_insert)
    with suppress(*TRANSIENT_ERRORS):  # the job exists: a later request finds it
        kept = (await stores.jobs.get(upload.id)).original
        await record_completion(upload, kept, stores, settings)
        if kept.blob == original.blob:
            submission.metrics.upload_bytes.observe(original.bytes)
        if kept.sha256 != original.sha256:  # another request has sent other last bytes at the same time
            raise build_offset_mismatch(upload.length)
    return accepted


@asynccontextmanager
async def _remove_unless_inserted(
    original: Original, upload: ResumableUpload, *, store: PartStore, submission: Submission
) -> AsyncIterator[BeginInsert]:
    """Yield the function that begins the insert. If the block raises before that, remove the original."""
    may_be_inserted = False

    async def begin_insert() -> None:
        nonlocal may_be_inserted
        lease_ms = _insert_lease_ms(submission.settings)
        if not await submission.stores.resumable_uploads.begin_insert(upload, lease_ms=lease_ms):
            raise await _explain_change(upload, submission)
        may_be_inserted = True

    try:
        yield begin_insert
    except BaseException:
        if not may_be_inserted:
            await asyncio.shield(store.remove(upload, [original.blob.rpartition("/")[2]]))
        raise


async def record_completion(upload: ResumableUpload, original: Original, stores: Stores, settings: Settings) -> None:
    """Record that the job exists, and remove the parts. Errors are ignored: the job is what counts."""
    with suppress(*TRANSIENT_ERRORS):
        await stores.resumable_uploads.complete(upload, expires_ms=compute_expiry_ms(settings))
        await remove_bytes(stores.blobs, upload, original=original)


async def explain_missing_part(upload: ResumableUpload, submission: Submission) -> Problem:
    """Return the problem of lost bytes of a part: another request has merged or completed it, or they are lost."""
    stores = submission.stores
    found = await stores.resumable_uploads.get(upload.id)
    if (found.state, found.parts) != (upload.state, upload.parts):
        return await _explain_change(upload, submission)
    if await stores.resumable_uploads.end(upload, UploadState.REMOVED):
        await submission.permission.release_use(stores.token_uses, upload.id)
        await remove_bytes(stores.blobs, upload)
    return UploadEnded("The stored bytes of the upload are lost. Create a new upload.")


async def _explain_change(upload: ResumableUpload, submission: Submission) -> Problem:
    """Return the problem of an upload that another request has changed. One that has ended uses nothing up."""
    found = await submission.stores.resumable_uploads.get(upload.id)
    if found.state in {UploadState.OPEN, UploadState.COMPLETE}:
        return build_offset_mismatch(found.offset)
    await submission.permission.release_use(submission.stores.token_uses, upload.id)
    return explain_end(found)


def _insert_lease_ms(settings: Settings) -> int:
    return int(settings.mongo_timeout * 1000) * TIMEOUTS_OF_INSERT

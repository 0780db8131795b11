"""The end of a resumable upload: its parts become the original of a job, once, whatever is killed in between."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from gateway.problems import OffsetMismatch, Problem, UploadEnded
from gateway.resumable.parts import PartStore, remove_bytes
from gateway.resumable.protocol import parse_metadata
from gateway.resumable.request_form import read_request_form
from gateway.schemas import Accepted
from gateway.submission.submission import Submission
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
    same job.
    """
    settings, stores = submission.settings, submission.stores
    request = read_request_form(parse_metadata(upload.metadata), settings.limits, strict=settings.forms.strict)
    try:
        original = await store.join(upload, parts, name=request.name, limits=settings.limits)
    except FileNotFoundError:
        raise await _explain_missing_part(upload, stores) from None
    if not await stores.resumable_uploads.begin_insert(upload, lease_ms=_insert_lease_ms(settings)):
        await store.remove(upload, [original.blob.rpartition("/")[2]])
        raise build_offset_mismatch(upload.offset)
    accepted = await submission.accept_original(request.kind, original, request.form)
    with suppress(*TRANSIENT_ERRORS):  # the job exists: a later request finds it
        kept = (await stores.jobs.get(upload.id)).original
        await record_completion(upload, kept, stores, settings)
        if kept.blob == original.blob:
            submission.metrics.upload_bytes.observe(original.bytes)
        if kept.sha256 != original.sha256:  # another request has sent other last bytes at the same time
            raise build_offset_mismatch(upload.length)
    return accepted


async def record_completion(upload: ResumableUpload, original: Original, stores: Stores, settings: Settings) -> None:
    """Record that the job exists, and remove the parts. Errors are ignored: the job is what counts."""
    with suppress(*TRANSIENT_ERRORS):
        await stores.resumable_uploads.complete(upload, expires_ms=compute_expiry_ms(settings))
        await remove_bytes(stores.blobs, upload, original=original)


async def _explain_missing_part(upload: ResumableUpload, stores: Stores) -> Problem:
    """Return the problem of a part that has no blob: another request has merged or completed it, or it is lost."""
    found = await stores.resumable_uploads.get(upload.id)
    if (found.state, found.parts) != (upload.state, upload.parts):
        return build_offset_mismatch(found.offset)
    if await stores.resumable_uploads.end(upload, UploadState.REMOVED):
        await remove_bytes(stores.blobs, upload)
    return UploadEnded("The stored bytes of the upload are lost. Create a new upload.")


def _insert_lease_ms(settings: Settings) -> int:
    return int(settings.mongo_timeout * 1000) * TIMEOUTS_OF_INSERT

"""How a resumable upload ends without a job, and what its client is told then."""

from __future__ import annotations

from gateway.problems import UploadEnded, UploadExpired
from storage.clock import now_ms
from storage.resumable_uploads import ResumableUpload, UploadState

_REASONS = {
    UploadState.REFUSED: "The upload was refused because of its first bytes. Create a new upload of another file.",
    UploadState.REMOVED: "The upload was removed. Create a new upload.",
    UploadState.COMPLETE: "The upload was complete, and its job has been removed. Create a new upload.",
}


def check_open(upload: ResumableUpload) -> None:
    """Raise `UploadEnded` for an upload that takes no more bytes, and of which there is no job."""
    is_expired = upload.state is UploadState.OPEN and upload.expires_ms < now_ms()
    if is_expired or upload.state is UploadState.EXPIRED:
        raise UploadExpired("The upload has expired, as nothing of it came for too long. Create a new upload.")
    if upload.state is not UploadState.OPEN:
        raise UploadEnded(_REASONS[upload.state])

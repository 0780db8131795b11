"""How a resumable upload ends without a job, and the problem that its client gets then."""

from __future__ import annotations

from gateway.problems import Problem, UploadEnded, UploadExpired
from storage.clock import now_ms
from storage.resumable_uploads import ResumableUpload, UploadState

_REASONS = {
    UploadState.REFUSED: "The upload was refused because of its first bytes. Create a new upload of another file.",
    UploadState.REMOVED: "The upload was removed. Create a new upload.",
    UploadState.COMPLETE: "The upload was complete, and its job has been removed. Create a new upload.",
}


def check_open(upload: ResumableUpload) -> None:
    """Raise `UploadEnded` for an upload that takes no more bytes, and of which there is no job."""
    if upload.state is not UploadState.OPEN or upload.expires_ms < now_ms():
        raise explain_end(upload)


def explain_end(upload: ResumableUpload) -> Problem:
    """Return the problem of an upload that has ended or expired."""
    if upload.state in _REASONS:
        return UploadEnded(_REASONS[upload.state])
    return UploadExpired("The upload has expired, as nothing of it came for too long. Create a new upload.")

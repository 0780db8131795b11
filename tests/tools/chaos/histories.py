"""What the load and the faults know of each job, for the check of its events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from storage.documents import JobRecord, JobState
from tests.tools.chaos.events_check import JobHistory
from tests.tools.chaos.load import Upload


def list_histories(jobs: Sequence[JobRecord], uploads: Sequence[Upload]) -> list[JobHistory]:
    """Return the history of each job: those that exist, and those that were accepted and are removed."""
    by_name = {upload.name: upload for upload in uploads}
    existing = [_build(job.id, by_name.get(job.original.name or ""), job) for job in jobs]
    return [*existing, *_removed({job.id for job in jobs}, uploads)]


def _removed(existing: set[str], uploads: Sequence[Upload]) -> Iterator[JobHistory]:
    for upload in uploads:
        if upload.task_id is not None and upload.task_id not in existing:
            yield _build(upload.task_id, upload, None)


def _build(task_id: str, upload: Upload | None, job: JobRecord | None) -> JobHistory:
    least, most = upload.count_lives() if upload else (1, 1)
    has_previews = upload is not None and upload.sample.path == "/upload"
    is_active = job is not None and job.is_active
    return JobHistory(
        task_id=task_id,
        least_lives=least - is_active,
        most_lives=most,
        last_end=None if job is None or is_active else (job.first_generation, job.state),
        is_expired=None if job is None else job.state is JobState.DONE and job.blobs_removed_ms is not None,
        renditions=frozenset(upload.sample.renditions) if upload and has_previews else frozenset(),
    )

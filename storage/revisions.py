"""Revisions: how the document of an ended job changes when it is processed again, and when that fails."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from storage.documents import (
    ATTEMPTS_PER_REVISION,
    Failure,
    JobRecord,
    JobState,
    Lane,
    Operation,
    PreviousResults,
    StageRecord,
)
from storage.outbox import end_changes

JobT = TypeVar("JobT", bound=JobRecord)


def begin_revision(
    job: JobT, operation: Operation, stages: Collection[str], *, lane: Lane, now: int, next_dispatch_ms: int
) -> JobT:
    """Return an ended job as it is when its next revision begins; the first of `stages` is due.

    All stages run again, as what older versions recorded of an original may lack facts. The results of a done job are
    kept as `previous`. Any other job has none, unless an older version has ended its reprocessing, and has not given
    them back. `now` and `next_dispatch_ms` are epoch ms.
    """
    revision = job.revision + 1
    attempts = revision * ATTEMPTS_PER_REVISION
    records = {name: StageRecord(attempts=attempts, retries=attempts) for name in stages}
    records[next(iter(records))].queued_ms = now
    previous = PreviousResults(operation=job.operation, stages=job.stages)
    return job.model_copy(
        update={
            "state": JobState.PROCESSING,
            "version": job.version + 1,
            "lane": lane,
            "generation": job.generation + 1,
            "first_generation": job.generation + 1,
            "dispatched_ms": now,
            "next_dispatch_ms": next_dispatch_ms,
            "updated_ms": now,
            "finished_ms": None,
            "finalizations": 0,
            "failure": None,
            "revision": revision,
            "reprocessed_ms": now,
            "previous": previous if job.state is JobState.DONE else job.previous,
            "reprocess_failure": None,
            "operation": operation,
            "stages": records,
        }
    )


def restore_changes(job: JobRecord, failure: Failure, *, now: int) -> dict[str, Any] | None:
    """Return the stored changes that end a failed revision: the job is done, with its previous results.

    None for a job without any. The job ends now (epoch ms), so that the tidier looks at what the failed runs wrote.
    """
    if job.previous is None:
        return None
    previous = job.previous.model_dump(mode="json", by_alias=True)
    return end_changes(job, JobState.DONE, now=now) | {
        "state": JobState.DONE.value,
        "updated_ms": now,
        "finished_ms": now,
        "finalizations": 1,
        "operation": previous["operation"],
        "stages": previous["stages"],
        "previous": None,
        "reprocess_failure": failure.model_dump(mode="json"),
    }

"""Errors for jobs that ended without a result."""

from __future__ import annotations

from .models import JobStatus


class JobWithoutResult(Exception):
    """The job has ended, and there is no result.

    `job` is the whole job. `code`, `message` and `errors` (every broken rule) are those of its failure. If the job has
    no failure, `code` is its status.
    """

    def __init__(self, job: JobStatus, *, code: str | None = None, message: str | None = None) -> None:
        failure = job.failure
        self.job = job
        self.code = code or (failure.code if failure else job.status)
        self.message = message or (failure.message if failure else f"The job is {job.status}.")
        self.errors = list(failure.errors) if failure else []
        super().__init__(job.task_id, self.code, self.message)

    def __str__(self) -> str:
        return f"{self.job.task_id} {self.code}: {self.message}"


class JobFailed(JobWithoutResult):
    """The image or the request is invalid: the same job would fail again."""


class JobDead(JobWithoutResult):
    """The job is dead: its last attempt failed. `retry` runs it again."""


class JobCancelled(JobWithoutResult):
    """The job was cancelled."""


class JobExpired(JobWithoutResult):
    """The job is done, but its results have been removed."""

    def __init__(self, job: JobStatus) -> None:
        super().__init__(job, code="expired", message="The job's results are no longer kept.")


BY_STATUS: dict[str, type[JobWithoutResult]] = {"failed": JobFailed, "dead": JobDead, "cancelled": JobCancelled}


def ensure_result(job: JobStatus) -> JobStatus:
    """Return the job if it is done and has results. Raises a `JobWithoutResult` otherwise."""
    if job.status != "done":
        raise BY_STATUS.get(job.status, JobWithoutResult)(job)
    if not job.renditions:
        raise JobExpired(job)
    return job

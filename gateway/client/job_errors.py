"""Errors of a job that ended without a result."""

from __future__ import annotations

from .models import JobStatus


class JobWithoutResult(Exception):
    """The job has ended, and there is no result to fetch.

    `job` is the whole job; `code` and `message` are those of its failure, and `errors` every rule that was broken. The
    code of a job without a failure is its status.
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
    """The image or what was asked for it is to blame: the same job would fail again."""


class JobDead(JobWithoutResult):
    """The gateway gave up after the last attempt: `retry` runs the job again."""


class JobCancelled(JobWithoutResult):
    """Somebody cancelled the job."""


class JobExpired(JobWithoutResult):
    """The job was done, and its results are no longer kept."""

    def __init__(self, job: JobStatus) -> None:
        super().__init__(job, code="expired", message="The job's results are no longer kept.")


BY_STATUS: dict[str, type[JobWithoutResult]] = {"failed": JobFailed, "dead": JobDead, "cancelled": JobCancelled}


def ensure_result(job: JobStatus) -> JobStatus:
    """Return an ended job that has results. Raises `JobWithoutResult`."""
    if job.status != "done":
        raise BY_STATUS.get(job.status, JobWithoutResult)(job)
    if not job.renditions:
        raise JobExpired(job)
    return job

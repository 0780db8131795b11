"""Flows: what takes several calls, told by their answers what to ask next and what to hand out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Protocol, TypeVar

from .calls import Call, job_page, status_if_changed
from .models import JobPage, JobStatus, JobSummary

T_co = TypeVar("T_co", covariant=True)
PAGE_SIZE = 100
LONG_POLL_SECONDS = 20.0
"""Of one long poll: proxies between close connections that are silent for a minute."""


class CallSequence(Protocol[T_co]):
    """A conversation with the gateway: ask what `next_call` says, `take` the answer, until there is no next call."""

    def next_call(self) -> Call[Any] | None:
        """Return what to ask now; None at the end."""

    def process_answer(self, answer: Any) -> Iterable[T_co]:
        """Take its answer, and return what came of it."""


class JobPager:
    """The list of jobs, page by page."""

    def __init__(self, status: str | None, kind: str | None, limit: int | None) -> None:
        self._filter = {"status": status, "kind": kind}
        self._left = limit
        self._cursor: str | None = None
        self._is_over = limit == 0

    def next_call(self) -> Call[JobPage] | None:
        """Return what asks for the next page that is needed."""
        if self._is_over:
            return None
        size = PAGE_SIZE if self._left is None else min(PAGE_SIZE, self._left)
        return job_page(**self._filter, cursor=self._cursor, limit=size)

    def process_answer(self, answer: JobPage) -> list[JobSummary]:
        """Return the page's jobs."""
        self._cursor = answer.next
        jobs = answer.jobs[: self._left]
        self._left = None if self._left is None else self._left - len(jobs)
        self._is_over = self._cursor is None or self._left == 0
        return jobs


class JobPoller:
    """One job, watched with long polls until it has ended."""

    def __init__(self, task_id: str, *, timeout: float | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._task_id = task_id
        self._timeout = timeout
        self._clock = clock
        self._deadline = None if timeout is None else clock() + timeout
        self._job: JobStatus | None = None
        self._etag: str | None = None

    def next_call(self) -> Call[tuple[JobStatus | None, str | None]] | None:
        """Return what asks for the next change. TimeoutError once the time is over."""
        if self._job is None:  # how it stands now, without a wait
            return status_if_changed(self._task_id, etag=None, wait=0)
        if self._job.has_ended:
            return None
        left = LONG_POLL_SECONDS if self._deadline is None else self._deadline - self._clock()
        if left <= 0:
            raise TimeoutError(f"The job {self._task_id} is still {self._job.status} after {self._timeout:g} s.")
        return status_if_changed(self._task_id, etag=self._etag, wait=round(min(LONG_POLL_SECONDS, left), 3))

    def process_answer(self, answer: tuple[JobStatus | None, str | None]) -> list[JobStatus]:
        """Return the job if it has changed."""
        job, self._etag = answer
        if job is None:
            return []
        self._job = job
        return [job]


def jobs(*, status: str | None = None, kind: str | None = None, limit: int | None = None) -> CallSequence[JobSummary]:
    """Iterate over the jobs, from the youngest, `limit` at most, page by page as they are needed."""
    return JobPager(status, kind, limit)


def follow(task_id: str, *, timeout: float | None = None) -> CallSequence[JobStatus]:
    """Iterate over the job's states: how it stands, then each change, up to its end.

    TimeoutError if that takes more than `timeout` seconds.
    """
    return JobPoller(task_id, timeout=timeout)

"""Call sequences: methods that need several calls, where each answer decides the next call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from .call import Call
from .calls import job_page, status_if_changed
from .models import JobPage, JobStatus, JobSummary
from .problem import UNREADABLE, Problem
from .webhook_calls import delivery_page
from .webhook_models import DeliveryPage, DeliveryStatus

PageT = TypeVar("PageT", JobPage, DeliveryPage)
ItemT = TypeVar("ItemT")
T_co = TypeVar("T_co", covariant=True)
PAGE_SIZE = 100
LONG_POLL_SECONDS = 20.0
"""The longest wait of one long poll. Proxies close a connection that is silent for a minute."""


class CallSequence(Protocol[T_co]):
    """Several calls in a row: send `next_call()` and pass its answer to `process_answer()`, until there is no call."""

    def next_call(self) -> Call[Any] | None:
        """Return the next call; None at the end."""

    def process_answer(self, answer: Any) -> Iterable[T_co]:
        """Process the answer of the last call, and return its items."""


class Pager(Generic[PageT, ItemT]):
    """Lists items page by page, `limit` items at most. A subclass knows the calls, and the items of a page."""

    noun = "items"

    def __init__(self, limit: int | None) -> None:
        self._remaining = limit
        self._cursor: str | None = None
        self._seen_cursors: set[str] = set()
        self._is_over = limit == 0

    def build_call(self, *, cursor: str | None, limit: int) -> Call[PageT]:
        """Return the call for a page."""
        raise NotImplementedError

    def items_of(self, page: PageT) -> list[ItemT]:
        """Return the items of a page."""
        raise NotImplementedError

    def next_call(self) -> Call[PageT] | None:
        """Return the call for the next page; None if no more items are needed."""
        if self._is_over:
            return None
        size = PAGE_SIZE if self._remaining is None else min(PAGE_SIZE, self._remaining)
        return self.build_call(cursor=self._cursor, limit=size)

    def process_answer(self, answer: PageT) -> list[ItemT]:
        """Return the items of the page. Raises `Problem` if its `next` was that of an earlier page: no end follows."""
        if answer.next in self._seen_cursors:
            raise Problem(HTTPStatus.OK, UNREADABLE, f"The list of {self.noun} does not end: a page comes again.")
        self._cursor = answer.next
        if answer.next is not None:
            self._seen_cursors.add(answer.next)
        items = self.items_of(answer)[: self._remaining]
        self._remaining = None if self._remaining is None else self._remaining - len(items)
        self._is_over = self._cursor is None or self._remaining == 0
        return items


class JobPager(Pager[JobPage, JobSummary]):
    """Lists jobs."""

    noun = "jobs"

    def __init__(self, status: str | None, kind: str | None, limit: int | None) -> None:
        super().__init__(limit)
        self._filter = {"status": status, "kind": kind}

    def build_call(self, *, cursor: str | None, limit: int) -> Call[JobPage]:
        """Return the call for a page of jobs."""
        return job_page(**self._filter, cursor=cursor, limit=limit)

    def items_of(self, page: JobPage) -> list[JobSummary]:
        """Return the jobs of a page."""
        return page.jobs


class DeliveryPager(Pager[DeliveryPage, DeliveryStatus]):
    """Lists deliveries of a webhook."""

    noun = "deliveries"

    def __init__(self, webhook_id: str, status: str | None, limit: int | None) -> None:
        super().__init__(limit)
        self._webhook_id, self._status = webhook_id, status

    def build_call(self, *, cursor: str | None, limit: int) -> Call[DeliveryPage]:
        """Return the call for a page of deliveries."""
        return delivery_page(self._webhook_id, status=self._status, cursor=cursor, limit=limit)

    def items_of(self, page: DeliveryPage) -> list[DeliveryStatus]:
        """Return the deliveries of a page."""
        return page.deliveries


class JobPoller:
    """Follows one job with long polls until it has ended."""

    def __init__(self, task_id: str, *, timeout: float | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._task_id = task_id
        self._timeout = timeout
        self._clock = clock
        self._deadline = None if timeout is None else clock() + timeout
        self._job: JobStatus | None = None
        self._etag: str | None = None

    def next_call(self) -> Call[tuple[JobStatus | None, str | None]] | None:
        """Return the call that waits for the next change; None if the job has ended. TimeoutError after the timeout."""
        if self._job is None:  # the first call returns the current state at once
            return status_if_changed(self._task_id, etag=None, wait=0)
        if self._job.has_ended:
            return None
        remaining = LONG_POLL_SECONDS if self._deadline is None else self._deadline - self._clock()
        if remaining <= 0:
            raise TimeoutError(f"The job {self._task_id} is still {self._job.status} after {self._timeout:g} s.")
        return status_if_changed(self._task_id, etag=self._etag, wait=round(min(LONG_POLL_SECONDS, remaining), 3))

    def process_answer(self, answer: tuple[JobStatus | None, str | None]) -> list[JobStatus]:
        """Return the job if it has changed, else nothing."""
        job, self._etag = answer
        if job is None:
            return []
        self._job = job
        return [job]


def jobs(*, status: str | None = None, kind: str | None = None, limit: int | None = None) -> CallSequence[JobSummary]:
    """Iterate over the jobs, newest first, `limit` at most. Pages are fetched when they are needed.

    `status` and `kind` select jobs, such as "failed" and "previews".
    """
    return JobPager(status, kind, limit)


def deliveries(webhook_id: str, *, status: str | None = None, limit: int | None = None) -> CallSequence[DeliveryStatus]:
    """Iterate over the deliveries of a webhook, newest first, `limit` at most. Pages are fetched when they are needed.

    `status` selects "pending", "delivered" or "failed" ones.
    """
    return DeliveryPager(webhook_id, status, limit)


def follow(task_id: str, *, timeout: float | None = None) -> CallSequence[JobStatus]:
    """Iterate over the job's states: its current state, then each change until it has ended.

    Raises TimeoutError after `timeout` seconds. Without a `timeout`, it waits for ever.
    """
    return JobPoller(task_id, timeout=timeout)

"""What the steps of the tidier share: the stores, the lease with its progress, threads, and the errors of a round."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar
from uuid import uuid4

import structlog

from pipeline.settings import Settings
from pipeline.step_errors import log_errors
from storage.documents import Job, JobState
from storage.resumable_uploads import ResumableUpload
from storage.stores import Stores
from storage.tidying import TidyProgress

CONCURRENCY = 8
"""Folders at a time: one after the other, requests to an object store would take longer than new uploads."""
LEASE_INTERVALS = 3
"""Length of the lease, in intervals between two rounds."""

Item = TypeVar("Item", Job, ResumableUpload, str)
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

log = structlog.get_logger("tidier")


class TidyContext:
    """The shared state of one tidier."""

    def __init__(self, stores: Stores, settings: Settings) -> None:
        self.stores = stores
        self.jobs, self.blobs, self.keys = stores.jobs, stores.blobs, stores.idempotency_keys
        self.uploads = stores.resumable_uploads
        self.token_uses = stores.token_uses
        self.bulk_actions = stores.bulk_actions
        self.deliveries = stores.deliveries
        self.settings = settings
        self.progress = TidyProgress()
        self.errors = 0
        self._tidying = stores.tidying
        self._holder = uuid4().hex
        self._threads = ThreadPoolExecutor(CONCURRENCY, "tidier")  # a slow store must not use up the threads of others

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def acquire_lease(self) -> bool:
        """Take or renew the lease and read the progress; False while another tidier has it."""
        lease_ms = int(self.settings.sweeper.tidy_interval * 1000 * LEASE_INTERVALS)
        progress = await self._tidying.acquire(self._holder, lease_ms=lease_ms)
        if progress is None:
            return False
        self.progress = progress
        return True

    async def record(self, progress: TidyProgress) -> None:
        """Record the progress for the next round and the next holder of the lease."""
        await self._tidying.record(self._holder, progress)
        self.progress = progress

    async def call(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Call a function that blocks in one of the tidier's own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))

    async def attempt(self, step: str, work: Awaitable[Result], **details: str) -> Result | None:
        """Return the result of the work; None when it raises. The error is logged and counted."""
        result: Result | None = None
        failures = 1
        with log_errors(log, step, **details):
            result = await work
            failures = 0
        self.errors += failures
        return result

    async def for_each(self, items: Collection[Item], work: Callable[[Item], Awaitable[None]]) -> int:
        """Run `work` on every job, upload or folder, a few at a time; return how many failed."""
        limit, errors_before = asyncio.Semaphore(CONCURRENCY), self.errors

        async def run(item: Item) -> None:
            async with limit:
                await self.attempt(work.__name__, work(item), task_id=item if isinstance(item, str) else item.id)

        await asyncio.gather(*map(run, items))
        return self.errors - errors_before

    async def read_ended(
        self, states: Collection[JobState], *, after_ms: int, before_ms: int
    ) -> tuple[list[Job], int | None]:
        """Return a batch of jobs with blobs, in the order of their ends, and where the next batch begins, if any.

        That is the `after_ms` of the next call. `after_ms` and `before_ms` are epoch ms.
        """
        limit = self.settings.sweeper.batch
        jobs = await self.jobs.find_with_blobs(states, after_ms=after_ms, before_ms=before_ms, limit=limit)
        if len(jobs) < limit:
            return jobs, None
        return jobs, max(after_ms + 1, (jobs[-1].finished_ms or 0) - 1)  # more may have ended in the same millisecond

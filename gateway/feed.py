"""The feed: reads each watched job again when it changes, once for all its watchers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Protocol

import structlog
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from gateway.recent_jobs import RecentJobs
from pipeline.notifications import SUBSCRIBED
from storage.documents import Job
from storage.jobs import Jobs

PAUSE_SECONDS = 0.02  # after a query: notifications that come within this time are one
POLL_INTERVAL_SECONDS = 2.0  # between polls of all watched jobs: notifications can get lost
RESUBSCRIBE_SECONDS = 1.0  # pause before subscribing to Redis again
BATCH_SIZE = 500

log = structlog.get_logger("gateway")


class NotificationSource(Protocol):
    """A source of notifications."""

    def changed_jobs(self) -> AsyncGenerator[str, None]:
        """Yield SUBSCRIBED, then the ids of jobs that have changed and are still active."""

    def ended_jobs(self) -> AsyncGenerator[str, None]:
        """Yield SUBSCRIBED, then the ids of jobs that have ended."""


class Topic:
    """One watched job: its newest known document, and the watchers that wait for a newer one.

    `is_closed` is set when no newer one will come: the job was removed, or the gateway stops.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.is_closed = False
        self.watchers = 0
        self.change_watchers = 0  # watchers that want every change, not only the end
        self._has_newer = asyncio.Event()

    @property
    def wants_every_change(self) -> bool:
        """Whether any watcher wants more than the end."""
        return self.change_watchers > 0

    def publish(self, job: Job) -> None:
        """Set the newer job and wake the watchers."""
        self.job = job
        self._wake()

    def close(self) -> None:
        """Wake the watchers: no newer job will come."""
        self.is_closed = True
        self._wake()

    async def wait_for_newer(self, version: int | None, seconds: float) -> Job | None:
        """Return the job when its version differs, or None when the time is over or the topic is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.job.version == version and not self.is_closed:
                    await self._has_newer.wait()
        return self.job if self.job.version != version else None

    def _wake(self) -> None:
        self._has_newer.set()
        self._has_newer = asyncio.Event()


class Feed:
    """All topics of one gateway. Two subscriptions to Redis and a few queries serve any number of watchers."""

    def __init__(
        self,
        jobs: Jobs,
        notifications: NotificationSource,
        *,
        on_end: Callable[[str], object] = lambda _: None,
        poll_interval_seconds: float = POLL_INTERVAL_SECONDS,
    ) -> None:
        """`on_end` is called with the id of each job whose end is notified, watched or not."""
        self._jobs = jobs
        self.recent_jobs = RecentJobs(jobs)
        self._notifications = notifications
        self._on_end = on_end
        self._poll_interval_seconds = poll_interval_seconds
        self._topics: dict[str, Topic] = {}
        self._notified_ids: set[str] = set()
        self._has_notifications = asyncio.Event()
        self._change_watchers = 0
        self._is_any_change_wanted = asyncio.Event()
        self._closed = False

    @property
    def watched_count(self) -> int:
        """How many jobs are watched."""
        return len(self._topics)

    @contextmanager
    def watch(self, job: Job, *, end_only: bool = False) -> Iterator[Topic]:
        """Watch a job from this document on. With `end_only`, changes before its end may come late or not at all."""
        topic = self._topics.setdefault(job.id, Topic(job))
        if topic.job.version < job.version:
            topic.publish(job)
        topic.is_closed |= self._closed
        topic.watchers += 1
        topic.change_watchers += not end_only
        self._count_change_watchers(not end_only)
        try:
            yield topic
        finally:
            topic.watchers -= 1
            topic.change_watchers -= not end_only
            self._count_change_watchers(-(not end_only))
            if not topic.watchers:
                self._topics.pop(job.id, None)

    def close(self) -> None:
        """Close every topic, because the gateway stops."""
        self._closed = True
        for topic in self._topics.values():
            topic.close()

    async def run(self) -> None:
        """Keep all topics up to date until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive_ends())
            tasks.create_task(self._receive_changes())
            tasks.create_task(self._refresh_notified())
            tasks.create_task(self._poll_versions())

    async def _receive_ends(self) -> None:
        while True:
            with suppress(RedisError, OSError):
                async for job_id in self._notifications.ended_jobs():
                    if job_id == SUBSCRIBED:
                        self.recent_jobs.clear()
                    self.recent_jobs.forget(job_id)
                    self._on_end(job_id)
                    if job_id in self._topics:
                        self._add_notified(job_id)
            await asyncio.sleep(RESUBSCRIBE_SECONDS)

    async def _receive_changes(self) -> None:
        """Subscribe to changes only while a watcher wants them: a job has a dozen, and every gateway gets them all."""
        while True:
            await self._is_any_change_wanted.wait()
            try:
                await self._receive_changes_while_wanted()
            except (RedisError, OSError):
                await asyncio.sleep(RESUBSCRIBE_SECONDS)

    async def _receive_changes_while_wanted(self) -> None:
        async with aclosing(self._notifications.changed_jobs()) as changed_jobs:
            async for job_id in changed_jobs:
                if not self._change_watchers:
                    return
                for topic in self._topics.values() if job_id == SUBSCRIBED else [self._topics.get(job_id)]:
                    if topic and topic.wants_every_change:
                        self._add_notified(topic.job.id)

    def _add_notified(self, job_id: str) -> None:
        self._notified_ids.add(job_id)
        self._has_notifications.set()

    def _count_change_watchers(self, difference: int) -> None:
        self._change_watchers += difference
        if self._change_watchers:
            self._is_any_change_wanted.set()
        else:
            self._is_any_change_wanted.clear()

    async def _refresh_notified(self) -> None:
        while True:
            await self._has_notifications.wait()
            self._has_notifications.clear()
            job_ids, self._notified_ids = self._notified_ids, set()
            await self._refresh(job_ids)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _poll_versions(self) -> None:
        while True:
            await asyncio.sleep(self._poll_interval_seconds)
            with suppress(PyMongoError):
                for batch in _split_into_batches(self._topics):
                    versions = await self._jobs.get_versions(batch)
                    await self._refresh({job_id for job_id in batch if self._is_newer(job_id, versions.get(job_id))})

    def _is_newer(self, job_id: str, version: int | None) -> bool:
        topic = self._topics.get(job_id)
        return topic is not None and topic.job.version != version

    async def _refresh(self, job_ids: Iterable[str]) -> None:
        """Read these jobs and publish them to their watchers. After a database error, the next poll reads them."""
        with suppress(PyMongoError):
            for batch in _split_into_batches(job_ids):
                job_by_id = {job.id: job for job in await self._jobs.get_many(batch)}
                for job_id in batch:
                    self._publish(job_id, job_by_id.get(job_id))

    def _publish(self, job_id: str, job: Job | None) -> None:
        topic = self._topics.get(job_id)
        if topic is None:
            return
        if job is None:
            topic.close()
        else:
            topic.publish(job)


def _split_into_batches(job_ids: Iterable[str]) -> Iterator[list[str]]:
    ids = list(job_ids)
    for start in range(0, len(ids), BATCH_SIZE):
        yield ids[start : start + BATCH_SIZE]

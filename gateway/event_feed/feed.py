"""Tells streams of events when something has happened to a job of their owner: one look serves all of an owner's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog

from gateway.event_feed.reader import EventReader, Position
from pipeline.step_errors import log_errors
from storage.jobs import Jobs

POLL_INTERVAL_SECONDS = 2.0
"""How often to look without a notification: these can get lost, and an expiry has none."""
DEBOUNCE_SECONDS = 0.1
"""Notifications that come within this time are one look."""

log = structlog.get_logger("gateway")


class OwnerTopic:
    """What the streams of one owner wait for.

    `is_closed` is set when the gateway stops; `rounds` is how often something has happened.
    """

    def __init__(self, reader: EventReader) -> None:
        self.is_closed = False
        self.rounds = 0
        self.watchers = 0
        self._reader = reader
        self._has_news = asyncio.Event()

    async def look(self) -> None:
        """Wake the streams if something has happened since the last time."""
        if await self._reader.skip():
            self.rounds += 1
            self._wake()

    def close(self) -> None:
        """Wake the streams: nothing more will come."""
        self.is_closed = True
        self._wake()

    async def wait_for_round(self, rounds: int, seconds: float) -> None:
        """Return when something has happened after this many rounds, after the time, or when closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.rounds == rounds and not self.is_closed:
                    await self._has_news.wait()

    def _wake(self) -> None:
        self._has_news.set()
        self._has_news = asyncio.Event()


class EventFeed:
    """The topics of one gateway, one for each owner with a stream."""

    def __init__(self, jobs: Jobs, *, poll_interval_seconds: float = POLL_INTERVAL_SECONDS) -> None:
        self._jobs = jobs
        self._poll_interval_seconds = poll_interval_seconds
        self._topics: dict[str | None, OwnerTopic] = {}
        self._has_ended_job = asyncio.Event()
        self._closed = False

    def create_reader(self, owner: str | None, types: list[str], start: Position | None) -> EventReader:
        """Return a reader of the events of an owner."""
        return EventReader(self._jobs, owner=owner, types=types, start=start)

    @contextmanager
    def watch(self, owner: str | None) -> Iterator[OwnerTopic]:
        """Wait for events of an owner's jobs."""
        topic = self._topics.get(owner)
        if topic is None:
            topic = self._topics[owner] = OwnerTopic(EventReader(self._jobs, owner=owner))
        topic.is_closed |= self._closed
        topic.watchers += 1
        try:
            yield topic
        finally:
            topic.watchers -= 1
            if not topic.watchers:
                self._topics.pop(owner, None)

    def notify(self) -> None:
        """Look soon: a job has ended."""
        if self._topics:
            self._has_ended_job.set()

    def close(self) -> None:
        """Close every topic, because the gateway stops."""
        self._closed = True
        for topic in self._topics.values():
            topic.close()

    async def run(self) -> None:
        """Look for what has happened until cancelled. While the database does not answer, streams hear nothing."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_interval_seconds):
                    await self._has_ended_job.wait()
            await asyncio.sleep(DEBOUNCE_SECONDS)
            self._has_ended_job.clear()
            for topic in list(self._topics.values()):
                with log_errors(log, "look_for_events"):
                    await topic.look()

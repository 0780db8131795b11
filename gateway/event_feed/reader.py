"""Reads the events of one owner's jobs in the order in which they happened, from a position on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from itertools import chain

from storage.clock import now_ms
from storage.documents import Job
from storage.events import OutboxEvent
from storage.job_ends import JobEnd, Moment
from storage.jobs import Jobs

OVERLAP_MS = 10_000
"""How long before its position a reader looks again: a job may appear this long after the time that it ended at."""
PAGE_SIZE = 500
"""Events that one query returns, without their jobs."""
BATCH_SIZE = 20
"""Jobs that are read at a time, whole."""
START_MARGIN_MS = 1000
"""How long before its start a stream looks for jobs that appear after it: clocks differ by some milliseconds."""
_POSITION = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,15}))?\.([A-Za-z0-9_.-]{0,128})")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a client has read: the time of its last event (epoch ms), and the id of that event, if there was one."""

    ms: int
    event_id: str = ""
    start_ms: int = 0
    """What happened before this (epoch ms) is left out: the client did not listen yet."""

    @property
    def since_ms(self) -> int:
        """From when on (epoch ms) to look for events that have not been read."""
        return max(self.ms - OVERLAP_MS, self.start_ms)

    def __str__(self) -> str:
        start = f"-{self.start_ms}" if self.start_ms > max(self.ms - OVERLAP_MS, 0) else ""
        return f"{self.ms}{start}.{self.event_id}"


def parse_position(text: str) -> Position | None:
    """Return a position that a client sends back, at most now; None if it is none."""
    match = _POSITION.fullmatch(text)
    return Position(min(int(match[1]), now_ms()), match[3], int(match[2] or 0)) if match else None


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """An event with the job as it is now, and the position after it."""

    event: OutboxEvent
    job: Job
    position: Position


class EventReader:
    """Reads each event once. After a position of before, those within `OVERLAP_MS` of it may come a second time."""

    def __init__(
        self,
        jobs: Jobs,
        *,
        owner: str | None,
        types: Collection[str] | None = None,
        start: Position | None = None,
        page_size: int = PAGE_SIZE,
    ) -> None:
        """`types` are those that are wanted, None: all. Without a `start`, it is now."""
        self._jobs, self._owner, self._types, self._page_size = jobs, owner, types, page_size
        self.is_resumed = start is not None
        now = now_ms()
        self._position = start or Position(now, start_ms=now - START_MARGIN_MS)
        self._seen = {start.event_id: start.ms} if start else {}

    @property
    def position(self) -> Position:
        """How far it has read."""
        return replace(self._position, event_id="")

    async def skip(self) -> bool:
        """Count what has happened since the last time as read; return whether that is anything."""
        has_new = False
        async for ends in self._find_new():
            has_new = True
            self._mark_seen(ends)
        return has_new

    async def read(self) -> AsyncIterator[ReadEvent]:
        """Yield what has happened since the last time, except to jobs that were retried, reprocessed or removed since.

        Their next end is another event.
        """
        async for ends in self._find_new():
            wanted = [end for end in ends if self._types is None or end.event.type in self._types]
            for start in range(0, len(wanted), BATCH_SIZE):
                batch = wanted[start : start + BATCH_SIZE]
                jobs = {job.id: job for job in await self._jobs.get_many({end.job_id for end in batch})}
                for end in batch:
                    self._mark_seen([end])
                    job = jobs.get(end.job_id)
                    if job is not None and end.is_of(job):
                        yield ReadEvent(end.event, job, replace(self._position, event_id=end.event_id))
            self._mark_seen(ends)

    async def _find_new(self) -> AsyncIterator[list[JobEnd]]:
        """Yield events that were not read before, in pages; at the end, the position is when this began."""
        started_ms = now_ms()
        since_ms: int | None = self._position.since_ms
        while since_ms is not None:
            ends, since_ms = await self._find_page(since_ms)
            if new := [end for end in ends if end.event_id not in self._seen]:
                yield new
        self._move(started_ms)
        self._seen = {event_id: ms for event_id, ms in self._seen.items() if ms >= self._position.since_ms}

    async def _find_page(self, since_ms: int) -> tuple[list[JobEnd], int | None]:
        """Return events since a time in their order, and since when there are more; None if there are none."""
        pages = [
            await self._jobs.find_ends(moment, owner=self._owner, since_ms=since_ms, limit=self._page_size)
            for moment in Moment
        ]
        ends = sorted(chain.from_iterable(pages), key=lambda end: (end.event.ms, end.job_id))
        full = [page[-1].event.ms for page in pages if len(page) == self._page_size]
        if not full:
            return ends, None
        next_ms = max(min(full), since_ms + 1)  # a page of one millisecond: what follows it there is left out
        return [end for end in ends if end.event.ms < next_ms], next_ms

    def _mark_seen(self, ends: Collection[JobEnd]) -> None:
        self._seen |= {end.event_id: end.event.ms for end in ends}
        self._move(*(end.event.ms for end in ends))

    def _move(self, *times_ms: int) -> None:
        """Move to the last of these times, but not beyond now: what ended before the clock was set back is later."""
        self._position = replace(self._position, ms=min(max(self._position.ms, *times_ms), now_ms()))

"""What waits in the broker's queues, where that is RabbitMQ: it tells their lengths, and nothing of what is in them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

from celery import Celery
from redis.asyncio import Redis

from pipeline.queues.queue_progress import QueueProgress
from pipeline.queues.queues import QueueBacklog, Queues, by_queue
from pipeline.routing import LANE_QUEUES, QUEUES
from storage.clock import now_ms

CACHE_SECONDS = 0.5  # what one look found is good for this long


class RabbitQueues(Queues):
    """The queues of RabbitMQ, looked at on one connection in a thread of its own; hints still come over Redis.

    Since when the next message waits is not to be seen: `oldest_ms` is when all that came before it had gone.
    """

    shows_unacked = False

    def __init__(self, redis: Redis, app: Celery, *, timeout_seconds: float) -> None:
        """Read over the app's connection; a read that takes longer than `timeout_seconds` is given up."""
        super().__init__(redis)
        self._app, self._timeout_seconds = app, timeout_seconds
        self._connection: Any = app.connection_for_read()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rabbitmq")
        self._progress = {lane: QueueProgress() for lane in LANE_QUEUES}
        self._born_ms = now_ms()
        self._looking: asyncio.Future[dict[str, int]] | None = None
        self._due = 0.0

    async def ping(self) -> None:
        """Raise when RabbitMQ does not answer, or Redis, without which a job would be sent on to no avail."""
        await self._redis.ping()
        await self._read_lengths()

    def server_checks(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Return how to ask Redis, and RabbitMQ."""
        return {"redis": self._redis.ping, "rabbitmq": self._read_lengths}

    async def read_max_queue_length(self) -> int:
        """Return how many messages wait in the fullest queue, in both its lanes."""
        return max(_lengths(await self._read_lengths()).values())

    async def read_oldest_message_ms(self, queue: str) -> int | None:
        """Return a time (epoch ms) that no message in the queue was sent before; None when it is empty."""
        return self._progress[queue].consumed_until_ms if (await self._read_lengths())[queue] else None

    async def read_backlog(self) -> QueueBacklog:
        """Return all that waits; what was there before the first look counts from then on."""
        found = await self._read_lengths()
        since = {
            lane: max(self._progress[lane].consumed_until_ms, self._born_ms) if found[lane] else None
            for lane in LANE_QUEUES
        }
        oldest = ([ms for ms in each if ms is not None] for each in by_queue(list(since.values())))
        return QueueBacklog(
            lengths=_lengths(found),
            oldest_ms={queue: min(each, default=None) for queue, each in zip(QUEUES, oldest, strict=True)},
        )

    async def close(self) -> None:
        """Hang up."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.release)
        self._thread.shutdown(wait=False)

    async def _read_lengths(self) -> dict[str, int]:
        """Return the length of each lane, as a look found it that all share who ask at about the same time."""
        if self._looking is None or (self._looking.done() and monotonic() >= self._due):
            self._due = monotonic() + CACHE_SECONDS
            self._looking = asyncio.get_running_loop().run_in_executor(self._thread, self._count)
        return await asyncio.wait_for(asyncio.shield(self._looking), self._timeout_seconds)

    def _count(self) -> dict[str, int]:
        start_ms, found = now_ms(), dict[str, int]()
        try:
            channel = self._connection.default_channel
            for lane in LANE_QUEUES:  # declared as they are, so that one that is not there yet is no error
                declared: Any = self._app.amqp.queues[lane](channel)
                found[lane] = declared.queue_declare().message_count
        except BaseException:
            self._connection.collect()
            raise
        for lane, length in found.items():
            self._progress[lane].record_length(length, at_ms=start_ms)
        return found


def _lengths(found: Mapping[str, int]) -> dict[str, int]:
    """Put the lanes of each queue together."""
    return dict(zip(QUEUES, map(sum, by_queue([found[lane] for lane in LANE_QUEUES])), strict=True))

"""The queues of RabbitMQ, which reports their lengths but not the messages in them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

from celery import Celery
from redis.asyncio import Redis

from pipeline.queues.queue_progress import QueueProgress
from pipeline.queues.queues import QueueBacklog, Queues, group_by_queue
from pipeline.queues.rabbit_probe import RabbitProbe
from pipeline.routing import LANE_QUEUES, QUEUES, STAGE_QUEUES
from storage.clock import now_ms

CACHE_SECONDS = 0.5  # time for which one reading of the lengths is reused


class RabbitQueues(Queues):
    """The queues of RabbitMQ, read on one connection in a separate thread. Notifications still come over Redis.

    RabbitMQ does not report when the next message was sent, so `oldest_ms` is an estimate of `QueueProgress`.
    """

    shows_unacked = False

    def __init__(self, redis: Redis, app: Celery, *, timeout_seconds: float) -> None:
        """Read over a connection of the app; a read fails after `timeout_seconds`."""
        super().__init__(redis)
        self._app, self._timeout_seconds = app, timeout_seconds
        self._connection: Any = app.connection_for_read()
        self._probe = RabbitProbe(app, timeout_seconds=timeout_seconds)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rabbitmq")
        self._progress = {lane: QueueProgress() for lane in LANE_QUEUES}
        self._opened_ms = now_ms()
        self._reading: asyncio.Future[dict[str, int]] | None = None
        self._next_reading = 0.0  # by the monotonic clock, in seconds

    async def ping(self) -> None:
        """Raise when RabbitMQ or Redis does not answer or takes nothing: a dispatched job could not finish then."""
        await self._check_redis()
        await self._probe.check()

    def server_checks(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Return a check for Redis and one for RabbitMQ."""
        return {"redis": self._check_redis, "rabbitmq": self._probe.check}

    async def read_max_queue_length(self) -> int:
        """Return how many messages wait in the longest queue of a stage, both lanes together."""
        lengths = _sum_by_queue(await self._read_lengths())
        return max(lengths[queue] for queue in STAGE_QUEUES)

    async def read_oldest_message_ms(self, queue: str) -> int | None:
        """Return a time (epoch ms) before which no message in the queue was sent; None when it is empty."""
        return self._progress[queue].consumed_until_ms if (await self._read_lengths())[queue] else None

    async def read_backlog(self) -> QueueBacklog:
        """Return the backlog. Messages from before this object was created count as sent at its creation."""
        lengths = await self._read_lengths()
        oldest_by_lane = [
            max(self._progress[lane].consumed_until_ms, self._opened_ms) if lengths[lane] else None
            for lane in LANE_QUEUES
        ]
        oldest = ([ms for ms in lanes if ms is not None] for lanes in group_by_queue(oldest_by_lane))
        return QueueBacklog(
            lengths=_sum_by_queue(lengths),
            oldest_ms={queue: min(times, default=None) for queue, times in zip(QUEUES, oldest, strict=True)},
        )

    async def close(self) -> None:
        """Close the connection and end the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.release)
        self._thread.shutdown(wait=False)
        await self._probe.close()

    async def _read_lengths(self) -> dict[str, int]:
        """Return the length of each lane. Concurrent callers share one reading, which is reused for CACHE_SECONDS."""
        if self._reading is None or (self._reading.done() and monotonic() >= self._next_reading):
            self._next_reading = monotonic() + CACHE_SECONDS
            self._reading = asyncio.get_running_loop().run_in_executor(self._thread, self._read_lengths_in_thread)
        return await asyncio.wait_for(asyncio.shield(self._reading), self._timeout_seconds)

    def _read_lengths_in_thread(self) -> dict[str, int]:
        start_ms, lengths = now_ms(), dict[str, int]()
        try:
            channel = self._connection.default_channel
            for lane in LANE_QUEUES:  # an active declaration, so that a queue that does not exist yet is no error
                queue: Any = self._app.amqp.queues[lane](channel)
                lengths[lane] = queue.queue_declare().message_count
        except BaseException:
            self._connection.collect()
            raise
        for lane, length in lengths.items():
            self._progress[lane].record_length(length, at_ms=start_ms)
        return lengths


def _sum_by_queue(lengths: Mapping[str, int]) -> dict[str, int]:
    """Return the length of each queue, both lanes together."""
    return dict(zip(QUEUES, map(sum, group_by_queue([lengths[lane] for lane in LANE_QUEUES])), strict=True))

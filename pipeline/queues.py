"""What waits in the broker's queues, read without disturbing them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from pipeline import hints
from pipeline.celery import QUEUED_HEADER, QUEUES
from pipeline.lanes import lanes_of
from pipeline.redis_urls import RedisUrl
from pipeline.settings import Settings

LANES = tuple(lane for queue in QUEUES for lane in lanes_of(queue))
UNACKED, UNACKED_INDEX = "unacked", "unacked_index"  # kombu's own: messages held by workers, and since when


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits, in both lanes of each queue: how many, since when the first, and what workers hold unacknowledged."""

    lengths: dict[str, int]
    oldest_ms: dict[str, int | None]
    unacked: int
    unacked_since: float | None  # epoch seconds, when the first of them was delivered


class Queues:
    """The queues as kombu keeps them in Redis: a list each, pushed at the left end and taken from the right."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def ping(self) -> None:
        """Raise when the broker does not answer."""
        await self._redis.ping()

    def changed_jobs(self) -> AsyncIterator[hints.Hint]:
        """Yield the jobs as workers tell that they have changed; RedisError once the connection is lost."""
        return hints.changed_jobs(self._redis)

    async def longest(self) -> int:
        """Return how many messages wait in the fullest queue, in both its lanes."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for queue in LANES:
                pipeline.llen(queue)
            lengths: list[int] = await pipeline.execute()
        return max(map(sum, _by_queue(lengths)))

    async def oldest_ms(self, queue: str) -> int | None:
        """Return when the next message of a queue was sent (epoch ms), or None when the queue is empty."""
        return _sent_ms(await cast("Awaitable[bytes | None]", self._redis.lindex(queue, -1)))

    async def waiting(self) -> Waiting:
        """Return all that waits, in one round trip."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for queue in LANES:
                pipeline.llen(queue)
                pipeline.lindex(queue, -1)
            pipeline.hlen(UNACKED)
            pipeline.zrange(UNACKED_INDEX, 0, 0, withscores=True)
            *found, unacked, first = await pipeline.execute()
        return Waiting(
            lengths=dict(zip(QUEUES, map(sum, _by_queue(found[::2])), strict=True)),
            oldest_ms=dict(zip(QUEUES, map(_first_sent_ms, _by_queue(found[1::2])), strict=True)),
            unacked=unacked,
            unacked_since=first[0][1] if first else None,
        )


def _by_queue(found: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Put together what was found in the lanes of each queue."""
    width = len(LANES) // len(QUEUES)
    return (found[start : start + width] for start in range(0, len(found), width))


def _first_sent_ms(messages: Sequence[bytes | None]) -> int | None:
    return min((sent for sent in map(_sent_ms, messages) if sent is not None), default=None)


def _sent_ms(message: bytes | None) -> int | None:
    return None if message is None else int(json.loads(message)["headers"].get(QUEUED_HEADER, 0))


@asynccontextmanager
async def open_queues(settings: Settings) -> AsyncIterator[Queues]:
    """Open the broker for reading; connects when first asked."""
    redis = RedisUrl(settings.redis_url).open_async(
        socket_timeout=settings.broker.publish_timeout,
        socket_connect_timeout=settings.broker.connect_timeout,
        health_check_interval=settings.broker.health_check_interval,
    )
    try:
        yield Queues(redis)
    finally:
        await redis.aclose()

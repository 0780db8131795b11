"""What waits in the broker's queues, read without disturbing them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import cast

from redis.asyncio import Redis

from pipeline.celery import QUEUED_HEADER, QUEUES
from pipeline.settings import Settings


class Queues:
    """The queues as kombu keeps them in Redis: a list each, pushed at the left end and taken from the right."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def ping(self) -> None:
        """Raise when the broker does not answer."""
        await self._redis.ping()

    async def longest(self) -> int:
        """Return how many messages wait in the fullest queue."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for queue in QUEUES:
                pipeline.llen(queue)
            lengths: list[int] = await pipeline.execute()
        return max(lengths)

    async def oldest_ms(self, queue: str) -> int | None:
        """Return when the next message of a queue was sent (epoch ms), or None when the queue is empty."""
        message = await cast("Awaitable[bytes | None]", self._redis.lindex(queue, -1))
        if message is None:
            return None
        return int(json.loads(message)["headers"].get(QUEUED_HEADER, 0))


@asynccontextmanager
async def open_queues(settings: Settings) -> AsyncIterator[Queues]:
    """Open the broker for reading; connects when first asked."""
    redis = Redis.from_url(
        settings.redis_url,
        socket_timeout=settings.broker.publish_timeout,
        socket_connect_timeout=settings.broker.connect_timeout,
        health_check_interval=settings.broker.health_check_interval,
    )
    try:
        yield Queues(redis)
    finally:
        await redis.aclose()

"""What waits in the broker's queues, where that is Redis: each is a list, filled at the left, emptied at the right."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Sequence
from typing import cast

from pipeline.celery import QUEUED_HEADER
from pipeline.queues.queues import QueueBacklog, Queues, by_queue
from pipeline.routing import LANE_QUEUES, QUEUES

UNACKED, UNACKED_INDEX = "unacked", "unacked_index"  # kombu's own: messages held by workers, and since when


class RedisQueues(Queues):
    """The queues as kombu keeps them in Redis."""

    async def ping(self) -> None:
        """Raise when the broker does not answer."""
        await self._redis.ping()

    async def read_max_queue_length(self) -> int:
        """Return how many messages wait in the fullest queue, in both its lanes."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for queue in LANE_QUEUES:
                pipeline.llen(queue)
            lengths: list[int] = await pipeline.execute()
        return max(map(sum, by_queue(lengths)))

    async def read_oldest_message_ms(self, queue: str) -> int | None:
        """Return when the next message of a queue was sent (epoch ms), or None when the queue is empty."""
        return _sent_ms(await cast("Awaitable[bytes | None]", self._redis.lindex(queue, -1)))

    async def read_backlog(self) -> QueueBacklog:
        """Return all that waits, in one round trip."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for queue in LANE_QUEUES:
                pipeline.llen(queue)
                pipeline.lindex(queue, -1)
            pipeline.hlen(UNACKED)
            pipeline.zrange(UNACKED_INDEX, 0, 0, withscores=True)
            *found, unacked, first = await pipeline.execute()
        return QueueBacklog(
            lengths=dict(zip(QUEUES, map(sum, by_queue(found[::2])), strict=True)),
            oldest_ms=dict(zip(QUEUES, map(_first_sent_ms, by_queue(found[1::2])), strict=True)),
            unacked=unacked,
            unacked_since_seconds=first[0][1] if first else None,
        )


def _first_sent_ms(messages: Sequence[bytes | None]) -> int | None:
    return min((sent for sent in map(_sent_ms, messages) if sent is not None), default=None)


def _sent_ms(message: bytes | None) -> int | None:
    return None if message is None else int(json.loads(message)["headers"].get(QUEUED_HEADER, 0))

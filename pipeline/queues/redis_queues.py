"""The queues of Redis: each is a list that kombu fills at the left end and empties at the right end."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Sequence
from typing import cast

from pipeline.celery import QUEUED_HEADER
from pipeline.queues.queues import QueueBacklog, Queues, group_by_queue
from pipeline.routing import LANE_QUEUES, QUEUES

UNACKED, UNACKED_INDEX = "unacked", "unacked_index"  # kombu's keys: messages that workers hold, and since when


class RedisQueues(Queues):
    """The queues that kombu keeps in Redis."""

    async def ping(self) -> None:
        """Raise when the broker does not answer."""
        await self._redis.ping()

    async def read_max_queue_length(self) -> int:
        """Return how many messages wait in the longest queue, both lanes together."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for queue in LANE_QUEUES:
                pipeline.llen(queue)
            lengths: list[int] = await pipeline.execute()
        return max(map(sum, group_by_queue(lengths)))

    async def read_oldest_message_ms(self, queue: str) -> int | None:
        """Return when the next message of a queue was sent (epoch ms), or None when the queue is empty."""
        return _sent_ms(await cast("Awaitable[bytes | None]", self._redis.lindex(queue, -1)))

    async def read_backlog(self) -> QueueBacklog:
        """Return the backlog of all queues, in one round trip."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for queue in LANE_QUEUES:
                pipeline.llen(queue)
                pipeline.lindex(queue, -1)
            pipeline.hlen(UNACKED)
            pipeline.zrange(UNACKED_INDEX, 0, 0, withscores=True)
            pipeline.time()
            *lengths_and_messages, unacked, first_unacked, (seconds, microseconds) = await pipeline.execute()
        return QueueBacklog(
            lengths=dict(zip(QUEUES, map(sum, group_by_queue(lengths_and_messages[::2])), strict=True)),
            oldest_ms=dict(zip(QUEUES, map(_first_sent_ms, group_by_queue(lengths_and_messages[1::2])), strict=True)),
            unacked=unacked,
            unacked_age_seconds=max(0, seconds + microseconds / 1e6 - first_unacked[0][1]) if first_unacked else 0,
        )


def _first_sent_ms(messages: Sequence[bytes | None]) -> int | None:
    return min((sent for sent in map(_sent_ms, messages) if sent is not None), default=None)


def _sent_ms(message: bytes | None) -> int | None:
    return None if message is None else int(json.loads(message)["headers"].get(QUEUED_HEADER, 0))

"""The queues of Redis: each is a list that kombu fills at the left end and empties at the right end."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import cast

from redis.asyncio import Redis

from pipeline.broker.unreadable_messages import report_unreadable_message
from pipeline.celery import QUEUED_HEADER
from pipeline.queues.queues import QueueBacklog, Queues, group_by_queue
from pipeline.routing import LANE_QUEUES, QUEUES, STAGE_QUEUES, lane_queues

LOOKAHEAD = 10
"""How many messages of a queue are read for one that is readable."""
MAX_ENTRY_BYTES = 8 * 1024 * 1024
"""Larger entries are not parsed: workers drop them, see `message_schema.MAX_BODY_BYTES`."""
UNACKED, UNACKED_INDEX = "unacked", "unacked_index"  # kombu's keys: messages that workers hold, and since when


class RedisQueues(Queues):
    """The queues that kombu keeps in Redis."""

    def __init__(self, redis: Redis) -> None:
        """Read the queues over this connection."""
        super().__init__(redis)
        self._reported: dict[str, int] = {}

    async def ping(self) -> None:
        """Raise when Redis does not answer or takes no writes."""
        await self._check_redis()

    async def read_max_queue_length(self) -> int:
        """Return how many messages wait in the longest queue of a stage, both lanes together."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for queue in STAGE_QUEUES:
                for name in lane_queues(queue):
                    pipeline.llen(name)
            lengths: list[int] = await pipeline.execute()
        return max(map(sum, group_by_queue(lengths)))

    async def read_oldest_message_ms(self, queue: str) -> int | None:
        """Return when the next message of a queue was sent (epoch ms), or None when the queue is empty.

        Unreadable messages are skipped. It is 0, an earlier time, when the next LOOKAHEAD messages are unreadable.
        """
        head = await cast("Awaitable[bytes | None]", self._redis.lindex(queue, -1))
        return None if head is None else await self._read_sent_ms(queue, head)

    async def read_backlog(self) -> QueueBacklog:
        """Return the backlog of all queues, in one round trip unless a message is unreadable."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for queue in LANE_QUEUES:
                pipeline.llen(queue)
                pipeline.lindex(queue, -1)
            pipeline.hlen(UNACKED)
            pipeline.zrange(UNACKED_INDEX, 0, 0, withscores=True)
            pipeline.time()
            *lengths_and_heads, unacked, first_unacked, (seconds, microseconds) = await pipeline.execute()
        heads = zip(LANE_QUEUES, lengths_and_heads[1::2], strict=True)
        sent_ms = [None if head is None else await self._read_sent_ms(queue, head) for queue, head in heads]
        return QueueBacklog(
            lengths=dict(zip(QUEUES, map(sum, group_by_queue(lengths_and_heads[::2])), strict=True)),
            oldest_ms=dict(zip(QUEUES, map(_first_known_ms, group_by_queue(sent_ms)), strict=True)),
            unacked=unacked,
            unacked_age_seconds=max(0, seconds + microseconds / 1e6 - first_unacked[0][1]) if first_unacked else 0,
        )

    async def _read_sent_ms(self, queue: str, head: bytes) -> int:
        """Return when the first readable message was sent; 0 when it does not say so, or there is none."""
        try:
            return _parse_sent_ms(head)
        except ValueError as error:
            self._report(error, queue, head)
        following = await cast("Awaitable[list[bytes]]", self._redis.lrange(queue, -LOOKAHEAD, -1))
        for message in reversed(following):
            with suppress(ValueError):
                return _parse_sent_ms(message)
        return 0

    def _report(self, error: ValueError, queue: str, message: bytes) -> None:
        """Report the message, once while it is the next one of its queue."""
        if self._reported.get(queue) != hash(message):
            self._reported[queue] = hash(message)
            report_unreadable_message(error, queue=queue)


def _first_known_ms(times: Sequence[int | None]) -> int | None:
    return min((sent_ms for sent_ms in times if sent_ms), default=None)


def _parse_sent_ms(message: bytes) -> int:
    """Return when a message was sent; 0 when it does not say so. Raises ValueError."""
    if len(message) > MAX_ENTRY_BYTES:
        raise ValueError("the message is too large")
    try:
        sent_ms = json.loads(message)["headers"].get(QUEUED_HEADER, 0)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("the message has no headers") from error
    if not isinstance(sent_ms, int):
        raise ValueError("the message has no valid time")  # noqa: TRY004  # for the caller both are the same
    return sent_ms

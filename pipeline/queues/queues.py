"""The interface to the broker's queues, for Redis and RabbitMQ: it reads what waits, and changes nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from pipeline import notifications
from pipeline.routing import LANE_SUFFIXES, VALIDATE

PROBE_KEY = f"{VALIDATE}.probe"
"""A key that never exists; the rights to the keys of queues include it."""


@dataclass(frozen=True, slots=True)
class QueueBacklog:
    """The messages that wait in each queue, both lanes together, and those that workers hold unacknowledged."""

    lengths: dict[str, int]
    """Number of messages by queue."""
    oldest_ms: dict[str, int | None]
    """When the oldest message was sent (epoch ms), by queue; None when the queue is empty or the time is unknown."""
    unacked: int = 0
    """Number of messages that workers hold."""
    unacked_age_seconds: float = 0
    """How long ago the first of these was delivered; 0 when there are none."""


@dataclass(frozen=True, slots=True)
class RedisMemory:
    """The memory of Redis."""

    used_bytes: int
    max_bytes: int
    """Redis refuses all writes when it uses more; 0: it has no limit."""


class Queues(ABC):
    """The queues of a broker. Methods raise one of `transport.BROKER_ERRORS` when the broker is down or refuses."""

    shows_unacked = True
    """Whether the broker reports the messages that workers hold."""

    def __init__(self, redis: Redis) -> None:
        """Receive notifications over this Redis, whichever broker carries the messages."""
        self._redis = redis

    @abstractmethod
    async def ping(self) -> None:
        """Raise when a server that messages need does not answer, or takes no messages."""

    def server_checks(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Return a check for each server that messages and notifications need; it raises when the server is down."""
        return {"redis": self.ping}

    async def read_redis_memory(self) -> RedisMemory:
        """Return the memory of Redis. Raises NoPermissionError when its user may not use INFO."""
        memory = await self._redis.info("memory")
        return RedisMemory(used_bytes=memory["used_memory"], max_bytes=memory["maxmemory"])

    async def _check_redis(self) -> None:
        """Raise when Redis does not answer, or refuses writes because it is full or a replica.

        Redis refuses LPUSHX as it refuses every write that needs memory. Otherwise it writes nothing: there is no list.
        """
        await self._redis.lpushx(PROBE_KEY, "")

    def changed_jobs(self) -> AsyncGenerator[str, None]:
        """Yield SUBSCRIBED, then the ids of jobs that changed and continue. RedisError when the connection is lost."""
        return notifications.subscribe(self._redis, notifications.CHANGES_CHANNEL)

    def ended_jobs(self) -> AsyncGenerator[str, None]:
        """Yield SUBSCRIBED, then the ids of jobs that workers have ended. RedisError when the connection is lost."""
        return notifications.subscribe(self._redis, notifications.ENDS_CHANNEL)

    @abstractmethod
    async def read_max_queue_length(self) -> int:
        """Return how many messages wait in the longest queue of a stage, both lanes together.

        New jobs are refused by it: webhooks that are not sent must not stop uploads.
        """

    @abstractmethod
    async def read_oldest_message_ms(self, queue: str) -> int | None:
        """Return when the next message of a queue was sent (epoch ms), or an earlier time; None when it is empty."""

    @abstractmethod
    async def read_backlog(self) -> QueueBacklog:
        """Return the backlog of all queues."""


def group_by_queue(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Group values of lanes, in the order of `LANE_QUEUES`, by queue."""
    width = len(LANE_SUFFIXES)
    return (values[start : start + width] for start in range(0, len(values), width))

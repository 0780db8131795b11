"""What waits in the broker's queues, read without disturbing them: the questions, whichever broker it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from pipeline import notifications
from pipeline.routing import LANE_SUFFIXES


@dataclass(frozen=True, slots=True)
class QueueBacklog:
    """What waits, in both lanes of each queue: how many, since when the first, and what workers hold unacknowledged."""

    lengths: dict[str, int]
    oldest_ms: dict[str, int | None]
    unacked: int = 0
    unacked_since_seconds: float | None = None  # epoch seconds, when the first of them was delivered


class Queues(ABC):
    """The queues of a broker. One that is away, or refuses, raises one of `transport.BROKER_ERRORS`."""

    shows_unacked = True
    """Whether it tells what workers hold."""

    def __init__(self, redis: Redis) -> None:
        """Hear hints over this Redis, whatever carries the messages."""
        self._redis = redis

    @abstractmethod
    async def ping(self) -> None:
        """Raise when messages would come to nothing: a server that they need does not answer."""

    def server_checks(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Return how to ask each server that messages and hints need, by its name; the question raises without it."""
        return {"redis": self.ping}

    def changed_jobs(self) -> AsyncGenerator[str, None]:
        """Yield SUBSCRIBED, then the jobs told to have changed and to go on; RedisError once the connection is lost."""
        return notifications.subscribe(self._redis, notifications.CHANGES_CHANNEL)

    def ended_jobs(self) -> AsyncGenerator[str, None]:
        """Yield SUBSCRIBED, and the jobs that workers tell have ended; RedisError once the connection is lost."""
        return notifications.subscribe(self._redis, notifications.ENDS_CHANNEL)

    @abstractmethod
    async def read_max_queue_length(self) -> int:
        """Return how many messages wait in the fullest queue, in both its lanes."""

    @abstractmethod
    async def read_oldest_message_ms(self, queue: str) -> int | None:
        """Return when the next message of a queue was sent, or a time before that (epoch ms); None: it is empty."""

    @abstractmethod
    async def read_backlog(self) -> QueueBacklog:
        """Return all that waits."""


def by_queue(found: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Put together what was found in the lanes of each queue, in the order of `LANE_QUEUES`."""
    width = len(LANE_SUFFIXES)
    return (found[start : start + width] for start in range(0, len(found), width))

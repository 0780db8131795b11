"""The clock of the Redis that carries the messages: kombu notes by it since when a worker holds a message."""

from __future__ import annotations

from time import monotonic_ns

from redis import Redis

from storage.clock import ServerClock

_clock = ServerClock()


def measure_redis_clock(client: Redis) -> None:
    """Measure the clock; raises the errors of Redis."""
    sent_ns = monotonic_ns()
    record_redis_time(client.time(), sent_ns=sent_ns)


def record_redis_time(answer: tuple[int, int], *, sent_ns: int) -> None:
    """Record the answer of Redis to TIME, just received; the command was sent at `sent_ns` of our monotonic clock."""
    seconds, microseconds = answer
    _clock.record(seconds * 10**9 + microseconds * 1000, resolution_ns=1000, sent_ns=sent_ns)


def redis_time() -> float:
    """Return the time of Redis in epoch seconds; before the first measurement, that of the wall clock."""
    return _clock.now_ns() / 10**9

"""The counter behind the rate limit: in a real Redis, and in memory as the unit tests have it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis import Redis

from gateway.middleware.rate_limit import create_limiter
from pipeline.settings import Settings

LIMIT = parse("2/hour")


Counters = Callable[[], SlidingWindowCounterRateLimiter]
"""What each of several gateways counts with."""


@pytest.fixture
async def real(settings: Settings, redis: Redis) -> AsyncIterator[Counters]:  # noqa: ARG001
    made: list[Any] = []

    def counter() -> SlidingWindowCounterRateLimiter:
        made.append(create_limiter(settings.redis_url))
        found: SlidingWindowCounterRateLimiter = made[-1]
        return found

    yield counter
    for each in made:
        await each.storage.bridge.storage.aclose()


@pytest.fixture(params=["real", "memory"])
def counters(request: pytest.FixtureRequest) -> Counters:
    if request.param == "real":
        found: Counters = request.getfixturevalue("real")
        return found
    storage = MemoryStorage()
    return lambda: SlidingWindowCounterRateLimiter(storage)


async def test_as_many_as_allowed_are_within_the_limit(counters: Counters) -> None:
    counter = counters()

    assert [await counter.hit(LIMIT, "ada") for _ in range(3)] == [True, True, False]


async def test_what_is_left_is_told(counters: Counters) -> None:
    counter = counters()
    left = []

    for _ in range(3):
        await counter.hit(LIMIT, "ada")
        left.append((await counter.get_window_stats(LIMIT, "ada")).remaining)

    assert left == [1, 0, 0]


async def test_all_gateways_count_together(counters: Counters) -> None:
    assert [await counters().hit(LIMIT, "ada") for _ in range(3)] == [True, True, False]


async def test_callers_are_counted_apart(counters: Counters) -> None:
    counter = counters()
    for _ in range(3):
        await counter.hit(LIMIT, "ada")

    assert await counter.hit(LIMIT, "zoe")


async def test_what_is_counted_is_not_kept_for_ever(real: Counters, redis: Redis) -> None:
    await real().hit(LIMIT, "ada")

    assert [redis.ttl(key) > 0 for key in redis.scan_iter()] == [True]

"""The lease and the progress of the tidier: the real ones on Mongo's wire, and their fakes."""

from __future__ import annotations

import asyncio

import pytest

from storage.clock import now_ms
from storage.stores import Stores
from storage.tidying import Tidying, TidyProgress
from tests.support.fakes import FakeTidying

HOUR = 3_600_000
PROGRESS = TidyProgress(leftovers_until_ms=2**40, orphans_until_ms=2, full_look_ms=3)


@pytest.fixture(params=["real", "fake"])
def tidying(request: pytest.FixtureRequest) -> Tidying:
    if request.param == "fake":
        return FakeTidying()
    stores: Stores = request.getfixturevalue("stores")
    return stores.tidying


async def test_the_first_who_asks_has_the_lease(tidying: Tidying) -> None:
    assert await tidying.acquire("a", lease_ms=HOUR) == TidyProgress()
    assert await tidying.acquire("b", lease_ms=HOUR) is None


async def test_of_many_who_ask_at_once_one_has_the_lease(tidying: Tidying) -> None:
    answers = await asyncio.gather(*(tidying.acquire(str(number), lease_ms=HOUR) for number in range(8)))

    assert sorted(answers, key=str) == [*[None] * 7, TidyProgress()]


async def test_the_holder_renews_the_lease(tidying: Tidying) -> None:
    await tidying.acquire("a", lease_ms=-1)

    assert await tidying.acquire("a", lease_ms=HOUR) is not None
    assert await tidying.acquire("b", lease_ms=HOUR) is None


async def test_a_lease_that_has_ended_is_taken_over_with_the_progress(tidying: Tidying) -> None:
    await tidying.acquire("a", lease_ms=-1)
    await tidying.record("a", PROGRESS)

    assert await tidying.acquire("b", lease_ms=HOUR) == PROGRESS
    assert await tidying.acquire("a", lease_ms=HOUR) is None


async def test_progress_is_read_by_its_holder(tidying: Tidying) -> None:
    await tidying.acquire("a", lease_ms=HOUR)

    await tidying.record("a", PROGRESS)

    assert await tidying.acquire("a", lease_ms=HOUR) == PROGRESS


async def test_one_who_lost_the_lease_records_no_progress(tidying: Tidying) -> None:
    await tidying.acquire("a", lease_ms=-1)
    await tidying.acquire("b", lease_ms=HOUR)

    await tidying.record("a", PROGRESS)

    assert await tidying.acquire("b", lease_ms=HOUR) == TidyProgress()


async def test_a_lease_of_a_clock_that_was_ahead_is_taken_over(tidying: Tidying) -> None:
    await tidying.acquire("a", lease_ms=100 * HOUR)

    assert await tidying.acquire("b", lease_ms=HOUR) == TidyProgress()
    assert await tidying.acquire("a", lease_ms=HOUR) is None


async def test_progress_of_a_clock_that_was_ahead_does_not_count(tidying: Tidying) -> None:
    await tidying.acquire("a", lease_ms=HOUR)
    ahead = now_ms() + HOUR

    await tidying.record("a", TidyProgress(leftovers_until_ms=ahead, orphans_until_ms=2, full_look_ms=ahead))

    assert await tidying.acquire("a", lease_ms=HOUR) == TidyProgress(orphans_until_ms=2)

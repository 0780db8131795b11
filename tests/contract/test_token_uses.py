"""How many jobs a token has made: the real count on Mongo's wire, and its fake."""

from __future__ import annotations

import asyncio

import pytest

from storage.clock import now_ms
from storage.documents import Job
from storage.stores import Stores
from storage.token_uses import COLLECTION, KEEP_MS, TokenUses
from tests.support.fakes import FakeTokenUses, new_job_id

TOKEN, OTHER = "ada:token-one", "ada:token-two"
HOUR = 3_600_000


@pytest.fixture(params=["real", "fake"])
def uses(request: pytest.FixtureRequest) -> TokenUses:
    if request.param == "fake":
        return FakeTokenUses()
    stores: Stores = request.getfixturevalue("stores")
    return stores.token_uses


async def count(uses: TokenUses, *, token: str = TOKEN, job_id: str | None = None, limit: int = 2) -> bool:
    return await uses.count(token, job_id=job_id or new_job_id(), limit=limit, expires_ms=now_ms() + HOUR)


async def test_a_token_makes_as_many_jobs_as_it_may(uses: TokenUses) -> None:
    answers = [await count(uses) for _ in range(3)]

    assert (answers, await uses.read(TOKEN)) == ([True, True, False], 2)


async def test_a_new_token_has_made_no_job(uses: TokenUses) -> None:
    assert await uses.read(TOKEN) == 0


async def test_each_token_is_counted_by_itself(uses: TokenUses) -> None:
    await count(uses, limit=1)

    assert await count(uses, token=OTHER, limit=1)


async def test_a_job_is_counted_once(uses: TokenUses) -> None:
    job_id = new_job_id()

    answers = [await count(uses, job_id=job_id) for _ in range(4)]

    assert (answers, await uses.read(TOKEN)) == ([True] * 4, 1)


async def test_a_job_that_was_counted_may_be_counted_again_when_no_use_is_left(uses: TokenUses) -> None:
    job_id = new_job_id()
    await count(uses, job_id=job_id, limit=1)

    assert await count(uses, job_id=job_id, limit=1)
    assert not await count(uses, limit=1)


@pytest.mark.parametrize("limit", [1, 5])
async def test_of_many_jobs_at_once_no_more_are_made(uses: TokenUses, limit: int) -> None:
    answers = await asyncio.gather(*(count(uses, limit=limit) for _ in range(20)))

    assert (sum(answers), await uses.read(TOKEN)) == (limit, limit)


async def test_one_job_that_is_counted_at_once_by_many_is_counted_once(uses: TokenUses) -> None:
    job_id = new_job_id()

    answers = await asyncio.gather(*(count(uses, job_id=job_id) for _ in range(8)))

    assert (answers, await uses.read(TOKEN)) == ([True] * 8, 1)


async def test_the_use_of_a_withdrawn_job_is_given_back_once(uses: TokenUses) -> None:
    job_id = new_job_id()
    await count(uses, job_id=job_id)
    await count(uses)

    for _ in range(2):
        await uses.release(TOKEN, job_id=job_id)

    assert (await uses.read(TOKEN), await count(uses), await count(uses)) == (1, True, False)


async def test_a_use_that_was_never_counted_is_not_given_back(uses: TokenUses) -> None:
    await count(uses)

    await uses.release(TOKEN, job_id=new_job_id())
    await uses.release(OTHER, job_id=new_job_id())

    assert await uses.read(TOKEN) == 1


@pytest.mark.parametrize(("age_ms", "left"), [(KEEP_MS + 60_000, 0), (KEEP_MS - 60_000, 1)])
async def test_a_count_is_kept_for_two_days_after_its_token(uses: TokenUses, age_ms: int, left: int) -> None:
    await uses.count(TOKEN, job_id=new_job_id(), limit=1, expires_ms=now_ms() - age_ms)

    await uses.delete_expired()

    assert await uses.read(TOKEN) == left


async def test_the_counts_that_have_expired_are_found_by_an_index(stores: Stores) -> None:
    await count(stores.token_uses)

    indexes = await Job.get_motor_collection().database[COLLECTION].index_information()

    assert [("expires_ms", 1)] in [index["key"] for index in indexes.values()]

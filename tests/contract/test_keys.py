"""Idempotency keys: the real ones on Mongo's wire, and their fake."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass

import pytest

from storage.clock import now_ms
from storage.documents import JobState
from storage.idempotency import ABANDONED_MS, IdempotencyKey, IdempotencyKeys, KeyState
from storage.jobs import Jobs
from storage.stores import Stores
from tests.support.fakes import FakeJobs, FakeKeys, new_job

MINUTE = 60_000
OVER = -1  # a lease that ended before it began


@dataclass
class Subject:
    """Keys, and the jobs that they were used for."""

    keys: IdempotencyKeys
    jobs: Jobs


@pytest.fixture(params=["real", "fake"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "fake":
        jobs = FakeJobs()
        return Subject(FakeKeys(jobs), jobs)
    stores = request.getfixturevalue("stores")
    return Subject(stores.idempotency_keys, stores.jobs)


@pytest.fixture
def keys(subject: Subject) -> IdempotencyKeys:
    return subject.keys


@pytest.fixture
def jobs(subject: Subject) -> Jobs:
    return subject.jobs


async def hold(
    keys: IdempotencyKeys, job_id: str, *, key: str = "key", lease_ms: int = MINUTE
) -> IdempotencyKey | None:
    return await keys.acquire(key, job_id=job_id, lease_ms=lease_ms)


async def answer(keys: IdempotencyKeys, job_id: str, *, key: str = "key", keep_ms: int = MINUTE) -> bool:
    return await keys.mark_answered(key, job_id=job_id, fingerprint=f"print of {job_id}", keep_ms=keep_ms)


async def used_for(keys: IdempotencyKeys) -> tuple[KeyState, str, str | None]:
    """Return what the key is used for, as one more that would hold it sees it."""
    found = await hold(keys, "one more")
    assert found is not None
    return found.state, found.job_id, found.fingerprint


def test_the_fake_does_all_that_the_real_one_does() -> None:
    public = {name for name, _ in inspect.getmembers(IdempotencyKeys, inspect.isfunction) if not name.startswith("_")}

    assert public <= set(vars(FakeKeys))


async def test_a_key_that_nobody_has_is_held(keys: IdempotencyKeys) -> None:
    assert await hold(keys, "first") is None


async def test_a_key_that_is_held_is_seen_running(keys: IdempotencyKeys) -> None:
    await hold(keys, "first")

    assert await used_for(keys) == (KeyState.RUNNING, "first", None)


async def test_a_key_is_held_for_its_lease(keys: IdempotencyKeys) -> None:
    start = now_ms()
    await hold(keys, "first", lease_ms=MINUTE)

    found = await hold(keys, "second")

    assert found is not None
    assert start + MINUTE <= found.expires_ms <= now_ms() + MINUTE


async def test_another_key_is_free(keys: IdempotencyKeys) -> None:
    await hold(keys, "first")

    assert await hold(keys, "second", key="another") is None


async def test_of_many_that_would_hold_a_key_one_does(keys: IdempotencyKeys) -> None:
    held = await asyncio.gather(*(hold(keys, f"task {i}") for i in range(8)))

    assert held.count(None) == 1


async def test_those_that_do_not_get_a_key_see_who_did(keys: IdempotencyKeys) -> None:
    held = await asyncio.gather(*(hold(keys, f"task {i}") for i in range(8)))

    winner = f"task {held.index(None)}"
    assert {found.job_id for found in held if found is not None} == {winner}


async def test_a_key_that_was_answered_is_seen_answered(keys: IdempotencyKeys, jobs: Jobs) -> None:
    await hold(keys, "first")
    await jobs.insert(new_job(id="first"))

    assert await answer(keys, "first")

    assert await used_for(keys) == (KeyState.ANSWERED, "first", "print of first")


async def test_an_answered_key_whose_job_was_deleted_is_free(keys: IdempotencyKeys, jobs: Jobs) -> None:
    await hold(keys, "first")
    await jobs.insert(new_job(id="first", state=JobState.DONE))
    await answer(keys, "first")

    assert await jobs.remove("first")

    assert await hold(keys, "second") is None
    assert await used_for(keys) == (KeyState.RUNNING, "second", None)


async def test_of_many_that_find_the_job_of_a_key_deleted_one_holds_it(keys: IdempotencyKeys) -> None:
    await hold(keys, "first")
    await answer(keys, "first")

    held = await asyncio.gather(*(hold(keys, f"task {i}") for i in range(8)))

    assert held.count(None) == 1


async def test_an_answered_key_is_kept_for_its_time(keys: IdempotencyKeys, jobs: Jobs) -> None:
    await hold(keys, "first", lease_ms=OVER)
    await jobs.insert(new_job(id="first"))
    start = now_ms()

    await answer(keys, "first", keep_ms=MINUTE)

    found = await hold(keys, "second")
    assert found is not None
    assert start + MINUTE <= found.expires_ms <= now_ms() + MINUTE


async def test_a_key_is_answered_by_its_holder_alone(keys: IdempotencyKeys) -> None:
    await hold(keys, "first")

    assert not await answer(keys, "second")

    assert await used_for(keys) == (KeyState.RUNNING, "first", None)


async def test_a_key_that_nobody_holds_is_not_answered(keys: IdempotencyKeys) -> None:
    assert not await answer(keys, "first")

    assert await hold(keys, "second") is None


async def test_a_key_whose_lease_is_over_is_taken_over(keys: IdempotencyKeys) -> None:
    await hold(keys, "first", lease_ms=OVER)

    assert await hold(keys, "second") is None
    assert await used_for(keys) == (KeyState.RUNNING, "second", None)


async def test_an_answered_key_whose_time_is_over_is_taken_over(keys: IdempotencyKeys, jobs: Jobs) -> None:
    await hold(keys, "first")
    await jobs.insert(new_job(id="first"))
    await answer(keys, "first", keep_ms=OVER)

    assert await hold(keys, "second") is None
    assert await used_for(keys) == (KeyState.RUNNING, "second", None)


async def test_of_many_that_would_take_over_a_key_one_does(keys: IdempotencyKeys) -> None:
    await hold(keys, "first", lease_ms=OVER)

    held = await asyncio.gather(*(hold(keys, f"task {i}") for i in range(8)))

    assert held.count(None) == 1


async def test_a_key_that_was_taken_over_is_not_answered_by_its_first_holder(keys: IdempotencyKeys) -> None:
    await hold(keys, "first", lease_ms=OVER)
    await hold(keys, "second")

    assert not await answer(keys, "first")

    assert await used_for(keys) == (KeyState.RUNNING, "second", None)


@pytest.mark.parametrize("lease_ms", [MINUTE, OVER], ids=["in time", "over"])
async def test_a_held_key_whose_job_was_accepted_counts_as_answered(
    keys: IdempotencyKeys, jobs: Jobs, lease_ms: int
) -> None:
    job = new_job(fingerprint="print of the job")
    await hold(keys, job.id, lease_ms=lease_ms)

    await jobs.insert(job)

    assert await used_for(keys) == (KeyState.ANSWERED, job.id, "print of the job")


async def test_a_takeover_that_began_before_the_job_was_accepted_fails_once_another_was_answered_with_it(
    stores: Stores,
) -> None:
    keys, job = stores.idempotency_keys, new_job()
    await hold(keys, job.id, lease_ms=OVER)
    seen = await IdempotencyKey.get("key")
    await stores.jobs.insert(job)

    other = await hold(keys, "second")

    assert seen is not None
    assert other is not None
    assert (other.state, other.job_id) == (KeyState.ANSWERED, job.id)
    takeover = {"_id": "key", "task_id": job.id, "expires_ms": seen.expires_ms}
    assert await IdempotencyKey.get_motor_collection().count_documents(takeover) == 0
    assert await answer(keys, job.id)


async def test_a_held_key_whose_job_has_ended_counts_as_answered(keys: IdempotencyKeys, jobs: Jobs) -> None:
    job = new_job(state=JobState.FAILED, fingerprint="print of the job")
    await hold(keys, job.id)

    await jobs.insert(job)

    assert await used_for(keys) == (KeyState.ANSWERED, job.id, "print of the job")


async def test_a_freed_key_is_free(keys: IdempotencyKeys) -> None:
    await hold(keys, "first")

    await keys.release("key", job_id="first")

    assert await hold(keys, "second") is None


async def test_a_key_is_freed_by_its_holder_alone(keys: IdempotencyKeys) -> None:
    await hold(keys, "first")

    await keys.release("key", job_id="second")

    assert await used_for(keys) == (KeyState.RUNNING, "first", None)


async def test_a_key_that_was_taken_over_is_not_freed_by_its_first_holder(keys: IdempotencyKeys) -> None:
    await hold(keys, "first", lease_ms=OVER)
    await hold(keys, "second")

    await keys.release("key", job_id="first")

    assert await used_for(keys) == (KeyState.RUNNING, "second", None)


async def test_an_answered_key_is_not_freed(keys: IdempotencyKeys, jobs: Jobs) -> None:
    await hold(keys, "first")
    await jobs.insert(new_job(id="first"))
    await answer(keys, "first")

    await keys.release("key", job_id="first")

    assert await used_for(keys) == (KeyState.ANSWERED, "first", "print of first")


async def test_freeing_a_key_that_nobody_holds_is_no_error(keys: IdempotencyKeys) -> None:
    await keys.release("key", job_id="first")

    assert await hold(keys, "second") is None


async def test_a_forgotten_key_is_free_to_be_answered_by_nobody(keys: IdempotencyKeys, jobs: Jobs) -> None:
    await hold(keys, "first")
    await jobs.insert(new_job(id="first"))
    await answer(keys, "first", keep_ms=OVER)

    await keys.delete_expired()
    await answer(keys, "first")

    assert await hold(keys, "second") is None


async def test_a_key_whose_time_is_not_over_is_not_forgotten(keys: IdempotencyKeys, jobs: Jobs) -> None:
    await hold(keys, "first")
    await jobs.insert(new_job(id="first"))
    await answer(keys, "first")
    await hold(keys, "running", key="another")

    await keys.delete_expired()

    assert await used_for(keys) == (KeyState.ANSWERED, "first", "print of first")
    assert await hold(keys, "second", key="another") is not None


async def test_a_key_whose_lease_is_over_can_still_be_renewed_after_the_forgetting(keys: IdempotencyKeys) -> None:
    await hold(keys, "first", lease_ms=OVER)

    await keys.delete_expired()

    assert await keys.extend_lease("key", job_id="first", lease_ms=MINUTE)
    assert await used_for(keys) == (KeyState.RUNNING, "first", None)


async def test_a_key_that_was_abandoned_is_forgotten(keys: IdempotencyKeys) -> None:
    await hold(keys, "first", lease_ms=-ABANDONED_MS - 1)

    await keys.delete_expired()

    assert not await keys.extend_lease("key", job_id="first", lease_ms=MINUTE)


async def test_forgetting_nothing_is_no_error(keys: IdempotencyKeys) -> None:
    await keys.delete_expired()

    assert await hold(keys, "first") is None


async def test_a_key_that_is_remembered_names_its_job_until_it_expires(keys: IdempotencyKeys) -> None:
    await keys.remember("kept", job_id="first", keep_ms=MINUTE)
    await keys.remember("over", job_id="second", keep_ms=OVER)
    await hold(keys, "third", key="running")

    assert await keys.find_remembered(["kept", "over", "running", "unknown"]) == {"kept": "first"}


async def test_a_key_that_is_remembered_again_names_the_later_job(keys: IdempotencyKeys) -> None:
    await keys.remember("key", job_id="first", keep_ms=OVER)
    await keys.remember("key", job_id="second", keep_ms=MINUTE)

    assert await keys.find_remembered(["key"]) == {"key": "second"}


async def test_a_remembered_key_is_deleted_once_it_has_expired(keys: IdempotencyKeys, jobs: Jobs) -> None:
    await jobs.insert(new_job(id="first"))
    await keys.remember("key", job_id="first", keep_ms=OVER)
    await keys.delete_expired()

    assert await hold(keys, "second") is None

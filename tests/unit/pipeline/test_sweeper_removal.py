"""What the sweeper removes, and that it goes on when a round fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from pipeline.settings import Settings
from pipeline.sweeper import Sweeper
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Job, JobState, blob_key
from storage.errors import JobNotFound
from storage.idempotency import ABANDONED_MS
from tests.support.fakes import FakeBroker, FakeJobs, FakeQueues, FakeStores, new_job, new_job_id

SECOND = 1000


async def accepted(jobs: FakeJobs, **fields: Any) -> Job:
    job = new_job(**fields)
    await jobs.insert(job)
    return job


async def ended(jobs: FakeJobs, blobs: Blobs, state: JobState, *, seconds_ago: float) -> Job:
    """Accept a job that ended a while ago and keeps its original."""
    job = new_job(state=state, finished_ms=now_ms() - int(seconds_ago * SECOND))
    await jobs.insert(job)
    blobs.put(job.original.blob, b"original")
    return job


async def test_an_old_folder_without_a_job_is_removed(sweeper: Sweeper, blobs: Blobs) -> None:
    folder = new_job_id(at_ms=now_ms() - 901 * SECOND)
    blobs.put(blob_key(folder, "original"), b"cut off")

    await sweeper.remove_orphans()

    assert blobs.list_folders() == []


async def test_a_young_folder_without_a_job_is_kept(sweeper: Sweeper, blobs: Blobs) -> None:
    folder = new_job_id(at_ms=now_ms() - 899 * SECOND)
    blobs.put(blob_key(folder, "original"), b"being uploaded")

    await sweeper.remove_orphans()

    assert blobs.list_folders() == [folder]


async def test_an_old_folder_with_a_job_is_kept(sweeper: Sweeper, jobs: FakeJobs, blobs: Blobs) -> None:
    job = await accepted(jobs, id=new_job_id(at_ms=now_ms() - 901 * SECOND))
    blobs.put(job.original.blob, b"accepted")

    await sweeper.remove_orphans()

    assert blobs.list_folders() == [job.id]


@pytest.mark.parametrize(
    "folder", ["backups", "0000000000007000a000000000000000", "00000000-0000-4000-a000-000000000000"]
)
async def test_a_folder_that_is_not_named_by_us_is_kept(sweeper: Sweeper, blobs: Blobs, folder: str) -> None:
    blobs.put(f"{folder}/monday", b"somebody else's")

    await sweeper.remove_orphans()

    assert blobs.list_folders() == [folder]


async def test_more_orphans_than_a_batch_are_all_removed(sweeper: Sweeper, blobs: Blobs, settings: Settings) -> None:
    for _ in range(settings.sweeper.batch + 1):
        blobs.put(blob_key(new_job_id(at_ms=0), "original"), b"cut off")

    await sweeper.remove_orphans()

    assert blobs.list_folders() == []


async def test_what_is_not_needed_is_removed_in_the_first_round(sweeper: Sweeper, blobs: Blobs) -> None:
    blobs.put(blob_key(new_job_id(at_ms=0), "original"), b"cut off")

    await sweeper.sweep()

    assert blobs.list_folders() == []


async def test_what_is_not_needed_is_not_looked_for_every_round(sweeper: Sweeper, blobs: Blobs) -> None:
    await sweeper.sweep()
    blobs.put(blob_key(new_job_id(at_ms=0), "original"), b"cut off")

    await sweeper.sweep()

    assert len(blobs.list_folders()) == 1


async def test_leftover_blobs_of_a_cancelled_job_are_removed_after_the_grace(
    sweeper: Sweeper, jobs: FakeJobs, blobs: Blobs
) -> None:
    await ended(jobs, blobs, JobState.CANCELLED, seconds_ago=31)

    await sweeper.remove_leftovers()

    assert blobs.list_folders() == []


async def test_blobs_of_a_cancelled_job_are_left_to_the_gateway_at_first(
    sweeper: Sweeper, jobs: FakeJobs, blobs: Blobs
) -> None:
    job = await ended(jobs, blobs, JobState.CANCELLED, seconds_ago=29)

    await sweeper.remove_leftovers()

    assert blobs.list_folders() == [job.id]


async def test_a_refused_job_records_that_its_blobs_are_gone(sweeper: Sweeper, jobs: FakeJobs, blobs: Blobs) -> None:
    job = await ended(jobs, blobs, JobState.FAILED, seconds_ago=501)

    await sweeper.remove_expired()

    assert (await jobs.get(job.id)).blobs_removed_ms == about(now_ms())


@pytest.mark.parametrize("state", [JobState.DONE, JobState.DEAD])
async def test_blobs_of_an_ended_job_are_removed_when_their_time_is_over(
    sweeper: Sweeper, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    await ended(jobs, blobs, state, seconds_ago=1001)

    await sweeper.remove_expired()

    assert blobs.list_folders() == []


@pytest.mark.parametrize(("state", "seconds_ago"), [(JobState.DONE, 999), (JobState.DEAD, 999), (JobState.FAILED, 499)])
async def test_blobs_of_an_ended_job_are_kept_for_their_time(
    sweeper: Sweeper, jobs: FakeJobs, blobs: Blobs, state: JobState, seconds_ago: int
) -> None:
    job = await ended(jobs, blobs, state, seconds_ago=seconds_ago)

    await sweeper.sweep()

    assert blobs.list_folders() == [job.id]


async def test_an_expired_job_is_still_known(sweeper: Sweeper, jobs: FakeJobs, blobs: Blobs) -> None:
    job = await ended(jobs, blobs, JobState.DONE, seconds_ago=1001)

    await sweeper.remove_expired()

    assert (await jobs.get(job.id)).blobs_removed_ms == about(now_ms())


async def test_a_job_is_forgotten_when_the_time_of_its_record_is_over(sweeper: Sweeper, jobs: FakeJobs) -> None:
    job = await accepted(jobs, state=JobState.DONE, finished_ms=1, blobs_removed_ms=now_ms() - 2001 * SECOND)

    await sweeper.remove_expired()

    with pytest.raises(JobNotFound):
        await jobs.get(job.id)


async def test_a_record_is_kept_for_its_time(sweeper: Sweeper, jobs: FakeJobs) -> None:
    job = await accepted(jobs, state=JobState.DONE, finished_ms=1, blobs_removed_ms=now_ms() - 1999 * SECOND)

    await sweeper.remove_expired()

    assert await jobs.get(job.id) == job


async def test_a_key_is_forgotten_when_its_time_is_over(stores: FakeStores, sweeper: Sweeper) -> None:
    await stores.idempotency_keys.acquire("key", job_id="first", lease_ms=SECOND)
    await stores.idempotency_keys.mark_answered("key", job_id="first", fingerprint="", keep_ms=-1)

    await sweeper.sweep()

    await stores.idempotency_keys.mark_answered("key", job_id="first", fingerprint="", keep_ms=SECOND)
    assert await stores.idempotency_keys.acquire("key", job_id="second", lease_ms=SECOND) is None


async def test_a_key_is_remembered_for_its_time(stores: FakeStores, sweeper: Sweeper) -> None:
    await stores.idempotency_keys.acquire("key", job_id="first", lease_ms=SECOND)
    await stores.idempotency_keys.mark_answered("key", job_id="first", fingerprint="", keep_ms=10 * SECOND)

    await sweeper.sweep()

    found = await stores.idempotency_keys.acquire("key", job_id="second", lease_ms=SECOND)
    assert found is not None
    assert found.job_id == "first"


@pytest.mark.parametrize("step", ["remove_leftovers", "remove_expired", "remove_orphans"])
async def test_what_cannot_be_removed_holds_no_key_back(
    jobs: FakeJobs, queues: FakeQueues, settings: Settings, step: str
) -> None:
    stores = FakeStores(jobs, BlobsOfAnotherOwner.open("memory:///"))
    await stores.idempotency_keys.acquire("key", job_id="first", lease_ms=-ABANDONED_MS - 1)
    state = {"remove_leftovers": JobState.CANCELLED, "remove_expired": JobState.DONE}.get(step)
    if state is not None:
        await accepted(jobs, state=state, finished_ms=1)

    await Sweeper(stores, queues, settings).sweep()

    await stores.idempotency_keys.mark_answered("key", job_id="first", fingerprint="", keep_ms=SECOND)
    assert await stores.idempotency_keys.acquire("key", job_id="second", lease_ms=SECOND) is None


async def test_blobs_that_cannot_be_removed_hold_no_job_back(
    jobs: FakeJobs, queues: FakeQueues, settings: Settings, broker: FakeBroker
) -> None:
    await accepted(jobs, next_dispatch_ms=now_ms() - 1)
    sweeper = Sweeper(FakeStores(jobs, BlobsOfAnotherOwner.open("memory:///")), queues, settings)

    with suppress(PermissionError):
        await sweeper.sweep()

    assert len(broker.take_messages()) == 1


async def test_a_round_that_fails_is_followed_by_the_next(blobs: Blobs, queues: FakeQueues, settings: Settings) -> None:
    jobs = FailingOnce(AutoReconnect("the database is away"))
    loop = asyncio.create_task(Sweeper(FakeStores(jobs, blobs), queues, settings).run())

    async with asyncio.timeout(5):
        await jobs.asked_again.wait()

    await _end(loop)


async def test_a_round_with_a_bug_is_followed_by_the_next(blobs: Blobs, queues: FakeQueues, settings: Settings) -> None:
    jobs = FailingOnce(ZeroDivisionError())
    loop = asyncio.create_task(Sweeper(FakeStores(jobs, blobs), queues, settings).run())

    async with asyncio.timeout(5):
        await jobs.asked_again.wait()

    await _end(loop)


class BlobsOfAnotherOwner(Blobs):
    """Blobs that may be neither listed nor removed."""

    def read_folder_pages(self, *, after: str = "") -> Iterator[list[str]]:
        raise PermissionError(after)

    def remove_folder(self, folder: str) -> None:
        raise PermissionError(folder)


class FailingOnce(FakeJobs):
    """Jobs whose first question fails, and which tell when they are asked again."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.asked_again = asyncio.Event()
        self._errors = [error]

    async def find_due(self, *, limit: int) -> list[Job]:
        if self._errors:
            raise self._errors.pop()
        self.asked_again.set()
        return await super().find_due(limit=limit)


async def _end(loop: asyncio.Task[None]) -> None:
    loop.cancel()
    with suppress(asyncio.CancelledError):
        await loop


def about(ms: int) -> Any:
    """Compare a moment with tolerance for the time that a test takes."""
    return pytest.approx(ms, abs=2 * SECOND)

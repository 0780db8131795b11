"""What the tidier removes, and what it keeps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore

from pipeline.settings import Settings
from pipeline.tidying.tidier import Tidier
from storage.blobs import Blobs
from storage.bulk_actions import BulkAction, BulkKind
from storage.clock import now_ms
from storage.documents import Job, JobState, blob_key
from storage.errors import JobNotFound
from storage.idempotency import ABANDONED_MS
from storage.token_uses import KEEP_MS
from tests.support.fakes import FakeJobs, FakeStores, new_job, new_job_id
from tests.support.webhooks import ended_delivery, new_delivery, new_endpoint

SECOND = 1000


async def accepted(jobs: FakeJobs, **fields: Any) -> Job:
    job = new_job(**fields)
    await jobs.insert(job)
    return job


async def ended(jobs: FakeJobs, blobs: Blobs, state: JobState, *, seconds_ago: float, **fields: Any) -> Job:
    """Accept a job that ended a while ago and keeps its original."""
    job = new_job(state=state, finished_ms=now_ms() - int(seconds_ago * SECOND), **fields)
    await jobs.insert(job)
    blobs.put(job.original.blob, b"original")
    return job


async def tidy_up(tidier: Tidier) -> int:
    """Run rounds until nothing is left to do; return how many it took."""
    rounds = 1
    while await tidier.tidy():
        rounds += 1
    return rounds


async def test_an_old_folder_without_a_job_is_removed(tidier: Tidier, blobs: Blobs) -> None:
    folder = new_job_id(at_ms=now_ms() - 901 * SECOND)
    blobs.put(blob_key(folder, "original"), b"cut off")

    await tidy_up(tidier)

    assert blobs.list_folders() == []


async def test_what_waits_since_before_the_clock_was_set_back_waits_no_longer(
    tidier: Tidier, stores: FakeStores, jobs: FakeJobs
) -> None:
    later = now_ms() + 3600 * SECOND
    job = await accepted(jobs, updated_ms=later, next_dispatch_ms=later)
    endpoint = new_endpoint(due_ms=1, next_dispatch_ms=later)
    await stores.webhooks.insert(endpoint)
    action = BulkAction(id=new_job_id(), action=BulkKind.RETRY, task_ids=["one"], lease_ms=later)
    await stores.bulk_actions.insert(action)

    await tidier.tidy()

    assert [each.id for each in await jobs.find_due(limit=5)] == [job.id]
    assert [each.id for each in await stores.webhooks.find_due(limit=5)] == [endpoint.id]
    assert [each.id for each in await stores.bulk_actions.find_free(limit=5)] == [action.id]


async def test_a_young_folder_without_a_job_is_kept(tidier: Tidier, blobs: Blobs) -> None:
    folder = new_job_id(at_ms=now_ms() - 890 * SECOND)
    blobs.put(blob_key(folder, "original"), b"being uploaded")

    await tidy_up(tidier)

    assert blobs.list_folders() == [folder]


async def test_an_old_folder_with_a_job_is_kept(tidier: Tidier, jobs: FakeJobs, blobs: Blobs) -> None:
    job = await accepted(jobs, id=new_job_id(at_ms=now_ms() - 901 * SECOND))
    blobs.put(job.original.blob, b"accepted")

    await tidy_up(tidier)

    assert blobs.list_folders() == [job.id]


@pytest.mark.parametrize("state", [JobState.DONE, JobState.CANCELLED])
async def test_what_a_frozen_run_wrote_after_the_blobs_of_its_job_were_removed_is_removed(
    jobs: FakeJobs, settings: Settings, tmp_path: Path, state: JobState
) -> None:
    blobs = Blobs.open(tmp_path.as_uri())
    job = await accepted(jobs, id=new_job_id(at_ms=now_ms() - 901 * SECOND), state=state, blobs_removed_ms=now_ms())
    blobs.put(blob_key(job.id, "normalize.1"), b"pixels")
    (tmp_path / job.id / "normalize.1#1").write_bytes(b"half of")

    await tidy_up(Tidier(FakeStores(jobs, blobs), settings))

    assert blobs.list_folders() == []


@pytest.mark.parametrize(
    "folder", ["backups", "0000000000007000a000000000000000", "00000000-0000-4000-a000-000000000000"]
)
async def test_a_folder_that_is_not_named_by_us_is_kept(tidier: Tidier, blobs: Blobs, folder: str) -> None:
    blobs.put(f"{folder}/monday", b"somebody else's")

    await tidy_up(tidier)

    assert blobs.list_folders() == [folder]


@pytest.mark.parametrize("state", [JobState.DONE, JobState.DEAD])
async def test_blobs_of_an_ended_job_are_removed_when_their_time_is_over(
    tidier: Tidier, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    await ended(jobs, blobs, state, seconds_ago=1001)

    await tidy_up(tidier)

    assert blobs.list_folders() == []


@pytest.mark.parametrize(
    ("state", "seconds_ago"),
    [(JobState.DONE, 990), (JobState.DEAD, 990), (JobState.FAILED, 490), (JobState.CANCELLED, 50)],
)
async def test_blobs_of_an_ended_job_are_kept_for_their_time(
    tidier: Tidier, jobs: FakeJobs, blobs: Blobs, state: JobState, seconds_ago: int
) -> None:
    job = await ended(jobs, blobs, state, seconds_ago=seconds_ago)

    await tidy_up(tidier)

    assert blobs.list_folders() == [job.id]
    assert (await jobs.get(job.id)).keeps_blobs


@pytest.mark.parametrize(
    ("state", "seconds_ago"), [(JobState.DONE, 1001), (JobState.FAILED, 501), (JobState.CANCELLED, 61)]
)
async def test_an_expired_job_is_still_known_and_records_that_its_blobs_are_gone(
    tidier: Tidier, jobs: FakeJobs, blobs: Blobs, state: JobState, seconds_ago: int
) -> None:
    job, start = await ended(jobs, blobs, state, seconds_ago=seconds_ago), now_ms()

    await tidy_up(tidier)

    assert start <= ((await jobs.get(job.id)).blobs_removed_ms or 0) <= now_ms()


async def test_an_expiry_that_was_cut_off_is_completed(tidier: Tidier, jobs: FakeJobs, blobs: Blobs) -> None:
    job = await ended(jobs, blobs, JobState.DONE, seconds_ago=1001, expiring_ms=1)

    await tidy_up(tidier)

    assert blobs.list_folders() == []
    assert (await jobs.get(job.id)).blobs_removed_ms is not None


async def test_a_round_removes_no_more_than_a_batch_and_the_next_ones_the_rest(
    tidier: Tidier, jobs: FakeJobs, blobs: Blobs, settings: Settings
) -> None:
    for _ in range(3 * settings.sweeper.batch):
        await ended(jobs, blobs, JobState.DONE, seconds_ago=1001)

    assert await tidier.tidy()

    assert len(blobs.list_folders()) == 2 * settings.sweeper.batch
    await tidy_up(tidier)
    assert blobs.list_folders() == []


async def test_more_jobs_than_a_batch_that_ended_in_one_millisecond_are_all_expired(
    tidier: Tidier, jobs: FakeJobs, blobs: Blobs, settings: Settings
) -> None:
    for _ in range(4 * settings.sweeper.batch):
        job = await accepted(jobs, state=JobState.DONE, finished_ms=7)
        blobs.put(job.original.blob, b"original")

    await tidy_up(tidier)

    assert blobs.list_folders() == []


async def test_jobs_whose_blobs_cannot_be_removed_hold_no_other_back(jobs: FakeJobs, settings: Settings) -> None:
    blobs = UnremovableBlobs(MemoryStore())
    stuck = [await ended(jobs, blobs, JobState.DONE, seconds_ago=2000) for _ in range(2 * settings.sweeper.batch)]
    blobs.unremovable.update(job.id for job in stuck)
    await ended(jobs, blobs, JobState.DONE, seconds_ago=1500)

    await tidy_up(Tidier(FakeStores(jobs, blobs), settings))

    assert sorted(blobs.list_folders()) == sorted(job.id for job in stuck)


async def test_a_job_is_forgotten_when_the_time_of_its_record_is_over(tidier: Tidier, jobs: FakeJobs) -> None:
    job = await accepted(jobs, state=JobState.DONE, finished_ms=1, blobs_removed_ms=now_ms() - 2001 * SECOND)

    await tidy_up(tidier)

    with pytest.raises(JobNotFound):
        await jobs.get(job.id)


async def test_a_record_is_kept_for_its_time(tidier: Tidier, jobs: FakeJobs) -> None:
    job = await accepted(jobs, state=JobState.DONE, finished_ms=1, blobs_removed_ms=now_ms() - 1990 * SECOND)

    await tidy_up(tidier)

    assert await jobs.get(job.id) == job


async def test_a_key_is_forgotten_when_its_time_is_over(stores: FakeStores, tidier: Tidier) -> None:
    await stores.jobs.insert(new_job(id="first"))
    await stores.idempotency_keys.acquire("key", job_id="first", lease_ms=SECOND)
    await stores.idempotency_keys.mark_answered("key", job_id="first", fingerprint="", keep_ms=-1)

    await tidy_up(tidier)

    await stores.idempotency_keys.mark_answered("key", job_id="first", fingerprint="", keep_ms=SECOND)
    assert await stores.idempotency_keys.acquire("key", job_id="second", lease_ms=SECOND) is None


async def test_a_key_is_remembered_for_its_time(stores: FakeStores, tidier: Tidier) -> None:
    await stores.jobs.insert(new_job(id="first"))
    await stores.idempotency_keys.acquire("key", job_id="first", lease_ms=SECOND)
    await stores.idempotency_keys.mark_answered("key", job_id="first", fingerprint="", keep_ms=10 * SECOND)

    await tidy_up(tidier)

    found = await stores.idempotency_keys.acquire("key", job_id="second", lease_ms=SECOND)
    assert found is not None
    assert found.job_id == "first"


@pytest.mark.parametrize(("age_ms", "left"), [(KEEP_MS + SECOND, 0), (0, 1)])
async def test_the_uses_of_a_token_are_forgotten_after_it(
    stores: FakeStores, tidier: Tidier, age_ms: int, left: int
) -> None:
    await stores.token_uses.count("ada:token", job_id="first", limit=1, expires_ms=now_ms() - age_ms)

    await tidy_up(tidier)

    assert await stores.token_uses.read("ada:token") == left


@pytest.mark.parametrize(("seconds_ago", "is_kept"), [(1990, True), (2010, False)])
async def test_deliveries_of_webhooks_are_kept_as_long_as_jobs(
    stores: FakeStores, tidier: Tidier, seconds_ago: int, is_kept: bool
) -> None:
    endpoint = new_endpoint()
    ended = [ended_delivery(endpoint, finished_ms=now_ms() - seconds_ago * SECOND) for _ in range(7)]
    pending = new_delivery(endpoint)
    await stores.deliveries.insert_new([pending, *ended])

    await tidy_up(tidier)

    left = await stores.deliveries.page(endpoint.id, state=None, before=None, limit=10)
    assert len(left.deliveries) == (8 if is_kept else 1)
    assert await stores.deliveries.get(pending.id, owner=None) == pending


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.DONE, JobState.FAILED, None], ids=str)
async def test_what_cannot_be_removed_holds_no_key_back(
    jobs: FakeJobs, settings: Settings, state: JobState | None
) -> None:
    stores = FakeStores(jobs, BlobsOfAnotherOwner.open("memory:///"))
    await stores.idempotency_keys.acquire("key", job_id="first", lease_ms=-ABANDONED_MS - 1)
    if state is not None:
        await accepted(jobs, state=state, finished_ms=1)

    await tidy_up(Tidier(stores, settings))

    await stores.idempotency_keys.mark_answered("key", job_id="first", fingerprint="", keep_ms=SECOND)
    assert await stores.idempotency_keys.acquire("key", job_id="second", lease_ms=SECOND) is None


async def test_blobs_of_many_jobs_are_removed_at_the_same_time(jobs: FakeJobs, settings: Settings) -> None:
    blobs = MeetingBlobs.open("memory:///")
    for _ in range(MeetingBlobs.meeting.parties):
        await ended(jobs, blobs, JobState.DONE, seconds_ago=1001)

    await tidy_up(Tidier(FakeStores(jobs, blobs), settings))

    assert blobs.list_folders() == []


class BlobsOfAnotherOwner(Blobs):
    """Blobs that may be neither listed nor removed."""

    def read_folder_pages(self, *, after: str = "") -> Iterator[list[str]]:
        raise PermissionError(after)

    def remove_folder(self, folder: str) -> None:
        raise PermissionError(folder)


class UnremovableBlobs(Blobs):
    """Blobs of which some may not be removed."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.unremovable = set[str]()

    def remove_folder(self, folder: str) -> None:
        if folder in self.unremovable:
            raise PermissionError(folder)
        super().remove_folder(folder)


class MeetingBlobs(Blobs):
    """Blobs that are removed once as many others are about to be."""

    meeting = threading.Barrier(3, timeout=5)

    def remove_folder(self, folder: str) -> None:
        self.meeting.wait()
        super().remove_folder(folder)

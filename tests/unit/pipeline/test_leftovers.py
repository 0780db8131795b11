"""What killed runs left of ended jobs is removed, once for each job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import RetentionSettings, Settings
from pipeline.tidying.tidier import Tidier
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Job, JobState, StageRecord, StageState, blob_key
from storage.tidying import TidyProgress
from tests.support.fakes import FakeJobs, FakeStores, new_job, new_job_id

SECOND = 1000
DAY = 86_400
KILLED = {"small": StageRecord(state=StageState.RUNNING, attempts=1)}
KEPT = ["large.1", "master.2", "original"]


class CountingBlobs(Blobs):
    """Blobs that count how often each folder is listed."""

    def list_all_names(self, folder: str) -> list[str]:
        self.listed: list[str] = [*getattr(self, "listed", []), folder]
        return super().list_all_names(folder)


@pytest.fixture
def blobs(tmp_path: Path) -> CountingBlobs:
    (tmp_path / "blobs").mkdir()
    return CountingBlobs(Blobs.open((tmp_path / "blobs").as_uri())._store, folder=tmp_path / "blobs")


async def ended(
    jobs: FakeJobs, blobs: Blobs, state: JobState = JobState.DEAD, *, seconds_ago: float = 61, **fields: Any
) -> Job:
    """Insert a job whose runs were killed while they wrote."""
    job_id = new_job_id()
    stages = {
        "normalize": StageRecord(state=StageState.DONE, attempts=2, result={"blob": blob_key(job_id, "master.2")}),
        "large": StageRecord(state=StageState.DONE, attempts=1, result={"blob": blob_key(job_id, "large.1")}),
    }
    finished_ms = now_ms() - int(seconds_ago * SECOND)
    values: dict[str, Any] = {"state": state, "finished_ms": finished_ms, "stages": stages | KILLED}
    job = new_job(id=job_id, **(values | fields))
    await jobs.insert(job)
    for name in ("original", "master.2", "large.1", "master.1", "small.1"):
        blobs.put(blob_key(job_id, name), b"")
    return job


def leave_unfinished_writes(folder: Path) -> None:
    for name in ("master.2#1", "small.1#2"):
        (folder / name).write_bytes(b"half of")


async def tidy_up(tidier: Tidier) -> None:
    while await tidier.tidy():
        pass


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.DEAD])
async def test_of_an_ended_job_what_no_stage_recorded_is_removed(
    tidier: Tidier, jobs: FakeJobs, blobs: CountingBlobs, tmp_path: Path, state: JobState
) -> None:
    job = await ended(jobs, blobs, state)
    leave_unfinished_writes(tmp_path / "blobs" / job.id)

    await tidy_up(tidier)

    assert sorted(blobs.list_all_names(job.id)) == KEPT
    assert (await jobs.get(job.id)).keeps_blobs


async def test_of_a_cancelled_job_nothing_is_left(
    tidier: Tidier, jobs: FakeJobs, blobs: CountingBlobs, tmp_path: Path
) -> None:
    job = await ended(jobs, blobs, JobState.CANCELLED)
    leave_unfinished_writes(tmp_path / "blobs" / job.id)

    await tidy_up(tidier)

    assert list((tmp_path / "blobs").iterdir()) == []


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.DEAD, JobState.CANCELLED])
async def test_a_run_that_may_still_write_is_waited_for(
    tidier: Tidier, jobs: FakeJobs, blobs: CountingBlobs, state: JobState
) -> None:
    job = await ended(jobs, blobs, state, seconds_ago=55)

    await tidy_up(tidier)

    assert sorted(blobs.list_all_names(job.id)) == ["large.1", "master.1", "master.2", "original", "small.1"]


async def test_the_jobs_that_were_looked_at_are_not_looked_at_again(
    tidier: Tidier, jobs: FakeJobs, blobs: CountingBlobs, stores: FakeStores
) -> None:
    made = [await ended(jobs, blobs, seconds_ago=ago) for ago in (100, 95, 80, 75, 70, 65)]
    await stores.tidying.acquire("a gateway that was killed", lease_ms=-1)
    await stores.tidying.record("a gateway that was killed", TidyProgress(leftovers_until_ms=now_ms() - 90 * SECOND))

    await tidy_up(tidier)
    listed = list(blobs.listed)
    await tidy_up(tidier)

    assert set(listed) == {job.id for job in made[2:]}
    assert blobs.listed == listed


async def test_what_a_run_wrote_that_woke_up_after_the_look_is_removed_a_day_later(
    jobs: FakeJobs, blobs: CountingBlobs, stores: FakeStores, tmp_path: Path
) -> None:
    retention = RetentionSettings(results=7 * DAY, records=30 * DAY)
    job = await ended(jobs, blobs, JobState.DONE, seconds_ago=DAY + 61)
    leave_unfinished_writes(tmp_path / "blobs" / job.id)
    await stores.tidying.acquire("a gateway that has looked", lease_ms=-1)
    await stores.tidying.record("a gateway that has looked", TidyProgress(leftovers_until_ms=now_ms() - 90 * SECOND))

    await tidy_up(Tidier(stores, Settings(retention=retention)))

    assert sorted(blobs.list_all_names(job.id)) == KEPT


async def test_a_job_whose_runs_all_recorded_their_ends_is_not_looked_at(
    tidier: Tidier, jobs: FakeJobs, blobs: CountingBlobs
) -> None:
    stages = {name: StageRecord(state=StageState.DONE, attempts=1) for name in new_job().stages}
    await ended(jobs, blobs, JobState.DONE, stages=stages)

    await tidy_up(tidier)

    assert not hasattr(blobs, "listed")


class RetryingJobs(FakeJobs):
    """Jobs that are retried when the tidier has just listed their folders."""

    async def get(self, job_id: str, *, owner: str | None = None, token_id: str | None = None) -> Job:
        job = await super().get(job_id, owner=owner, token_id=token_id)
        return await self.retry(job, next_dispatch_ms=0) or job


class TestAJobThatIsRetriedMeanwhile:
    @pytest.fixture
    def jobs(self) -> RetryingJobs:
        return RetryingJobs()

    async def test_keeps_what_its_runs_write(self, tidier: Tidier, jobs: RetryingJobs, blobs: CountingBlobs) -> None:
        job = await ended(jobs, blobs)

        await tidy_up(tidier)

        assert "small.1" in blobs.list_all_names(job.id)


class AwayBlobs(CountingBlobs):
    """Blobs of a store that is away for the first request."""

    def list_all_names(self, folder: str) -> list[str]:
        if not hasattr(self, "listed"):
            self.listed = [folder]
            raise ConnectionResetError
        return super().list_all_names(folder)


async def test_jobs_are_looked_at_when_the_store_is_back(jobs: FakeJobs, tmp_path: Path, settings: Settings) -> None:
    blobs = AwayBlobs(Blobs.open(tmp_path.as_uri())._store, folder=tmp_path)
    job = await ended(jobs, blobs)
    tidier = Tidier(FakeStores(jobs, blobs), settings)

    await tidy_up(tidier)
    await tidy_up(tidier)

    assert sorted(blobs.list_all_names(job.id)) == KEPT

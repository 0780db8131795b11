"""Jobs that were just accepted: a client that waits for the end of one needs no look at it before."""

from __future__ import annotations

import pytest

from gateway.recent_jobs import KEPT_SECONDS, MAX_KEPT, RecentJobs
from storage.documents import Job
from storage.errors import JobNotFound
from tests.support.fakes import FakeJobs, new_job

TOKEN = "t"  # noqa: S105  # its id


class CountingJobs(FakeJobs):
    """Jobs that count how often one is read for a request."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def get(self, job_id: str, *, owner: str | None = None, token_id: str | None = None) -> Job:
        self.reads += 1
        return await super().get(job_id, owner=owner, token_id=token_id)


class Clock:
    """A clock that stands still."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs() -> CountingJobs:
    return CountingJobs()


@pytest.fixture
def recent(jobs: CountingJobs, clock: Clock) -> RecentJobs:
    return RecentJobs(jobs, clock=clock)


async def test_a_kept_job_is_not_read(recent: RecentJobs, jobs: CountingJobs) -> None:
    recent.add(job := new_job(owner="ada", token_id=TOKEN))

    assert await recent.get(job.id) is job
    assert await recent.get(job.id, owner="ada", token_id=TOKEN) is job
    assert jobs.reads == 0


@pytest.mark.parametrize("caller", [{"owner": "zoe"}, {"owner": "ada", "token_id": "other"}])
async def test_a_kept_job_of_others_is_not_found(recent: RecentJobs, caller: dict[str, str]) -> None:
    recent.add(job := new_job(owner="ada", token_id=TOKEN))

    with pytest.raises(JobNotFound):
        await recent.get(job.id, **caller)


async def test_a_job_is_kept_for_a_while(recent: RecentJobs, jobs: CountingJobs, clock: Clock) -> None:
    await jobs.insert(job := new_job())
    recent.add(job)
    clock.now = KEPT_SECONDS

    await recent.get(job.id)

    assert jobs.reads == 1


async def test_a_job_that_has_ended_is_read(recent: RecentJobs, jobs: CountingJobs) -> None:
    await jobs.insert(job := new_job())
    recent.add(job)
    recent.forget(job.id)

    await recent.get(job.id)

    assert jobs.reads == 1


async def test_jobs_are_read_after_notifications_were_missed(recent: RecentJobs, jobs: CountingJobs) -> None:
    await jobs.insert(job := new_job())
    recent.add(job)
    recent.clear()

    await recent.get(job.id)

    assert jobs.reads == 1


async def test_only_the_last_jobs_are_kept(recent: RecentJobs, jobs: CountingJobs) -> None:
    added = [new_job() for _ in range(MAX_KEPT + 1)]
    for job in added:
        await jobs.insert(job)
        recent.add(job)

    reads = []
    for job in added:
        await recent.get(job.id)
        reads.append(jobs.reads)
    assert reads == [1] * len(added)

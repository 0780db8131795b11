"""The events of an owner's jobs since a time, on Mongo's wire and in the fake: the same as those in their outboxes."""

from __future__ import annotations

from typing import Any

import pytest

from storage.documents import Job, JobState, Kind
from storage.job_ends import JobEnd, Moment
from storage.jobs import Jobs
from storage.stores import Stores
from tests.support.fakes import new_job

ENDS = {
    JobState.DONE: "job.done",
    JobState.FAILED: "job.failed",
    JobState.DEAD: "job.dead",
    JobState.CANCELLED: "job.cancelled",
}


async def insert(jobs: Jobs, **fields: Any) -> Job:
    values: dict[str, Any] = {"owner": "ada", "state": JobState.DONE, "finished_ms": 1000}
    job = new_job(**values | fields)
    await jobs.insert(job)
    return job


async def find(
    jobs: Jobs, moment: Moment = Moment.END, *, owner: str | None = "ada", since_ms: int = 1
) -> list[JobEnd]:
    return await jobs.find_ends(moment, owner=owner, since_ms=since_ms, limit=10)


@pytest.mark.parametrize(("state", "event_type"), ENDS.items())
async def test_the_end_of_a_job_is_an_event(jobs: Jobs, state: JobState, event_type: str) -> None:
    job = await insert(jobs, state=state, finished_ms=2000, first_generation=3)

    [end] = await find(jobs)

    assert (end.job_id, end.event.type, end.event.ms, end.event.life) == (job.id, event_type, 2000, 3)


async def test_events_come_in_the_order_of_their_times_from_a_time_on(jobs: Jobs) -> None:
    ended = [await insert(jobs, finished_ms=ms) for ms in (3000, 1000, 2000)]

    found = [end.job_id for end in await find(jobs, since_ms=2000)]

    assert found == [ended[2].id, ended[0].id]


async def test_only_jobs_of_the_owner_are_found(jobs: Jobs) -> None:
    mine, nobodys = await insert(jobs), await insert(jobs, owner=None)
    await insert(jobs, owner="zoe")

    found = {owner: [end.job_id for end in await find(jobs, owner=owner)] for owner in ("ada", None)}

    assert found == {"ada": [mine.id], None: [nobodys.id]}


@pytest.mark.parametrize(
    "fields", [{"state": JobState.PROCESSING, "finished_ms": None}, {"kind": Kind.IMAGE, "parent_id": "x"}]
)
async def test_active_jobs_and_images_on_demand_have_no_end(jobs: Jobs, fields: dict[str, Any]) -> None:
    await insert(jobs, **fields)

    assert await find(jobs) == []


@pytest.mark.parametrize(("state", "expected"), [(JobState.DONE, ["job.expired"]), (JobState.FAILED, [])])
async def test_results_that_expire_are_an_event_of_their_own(jobs: Jobs, state: JobState, expected: list[str]) -> None:
    job = await insert(jobs, state=state, blobs_removed_ms=5000)

    expired = await find(jobs, Moment.EXPIRY, since_ms=5000)

    assert [end.event.type for end in expired] == expected
    assert all(end.is_of(job) for end in expired)
    assert await find(jobs, Moment.EXPIRY, since_ms=5001) == []


async def test_no_more_than_the_limit_are_found(jobs: Jobs) -> None:
    for ms in range(1, 6):
        await insert(jobs, finished_ms=ms)

    found = await jobs.find_ends(Moment.END, owner="ada", since_ms=1, limit=3)

    assert [end.event.ms for end in found] == [1, 2, 3]


async def test_the_event_has_the_id_of_the_one_in_the_outbox(stores: Stores) -> None:
    job = await insert(stores.jobs, state=JobState.PROCESSING, finished_ms=None, first_generation=2)

    assert await stores.jobs.cancel(job)

    [end] = await find(stores.jobs)
    cancelled = await stores.jobs.get(job.id)
    [event] = cancelled.outbox.values()
    assert (end.event_id, end.event) == (event.event_id(job.id), event)
    assert end.is_of(cancelled)


async def test_an_event_is_no_longer_of_a_job_that_is_retried(jobs: Jobs) -> None:
    job = await insert(jobs, state=JobState.DEAD)
    [end] = await find(jobs)

    retried = await jobs.retry(job, next_dispatch_ms=1)

    assert retried is not None
    assert (end.is_of(job), end.is_of(retried)) == (True, False)

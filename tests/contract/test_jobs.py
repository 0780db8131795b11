"""The gateway's side of the job document: the real one on Mongo's wire, and its fake."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError

from storage.clock import now_ms
from storage.documents import Failure, Job, JobState, Kind, Original, Source, StageRecord, StageState
from storage.errors import JobNotFound
from storage.jobs import Jobs
from storage.stores import Stores
from tests.support.fakes import FakeJobs, new_job, new_job_id

HOUR = 3_600_000
ENDED = [JobState.DONE, JobState.FAILED, JobState.DEAD, JobState.CANCELLED]
FAILURE = Failure(stage=None, code="dispatches_exhausted", message="Too many times.")


async def accepted(jobs: Jobs, **fields: Any) -> Job:
    job = new_job(**fields)
    await jobs.insert(job)
    return job


def ids(jobs: list[Job]) -> list[str]:
    return sorted(job.id for job in jobs)


def test_the_fake_does_all_that_the_real_one_does() -> None:
    public = {name for name, _ in inspect.getmembers(Jobs, inspect.isfunction) if not name.startswith("_")}

    assert public <= set(vars(FakeJobs))


async def test_an_accepted_job_is_found_by_its_id(jobs: Jobs) -> None:
    job = await accepted(jobs)

    assert (await jobs.get(job.id)).id == job.id


async def test_an_accepted_job_comes_back_as_it_was(jobs: Jobs) -> None:
    job = await accepted(jobs, owner="ada", failure=FAILURE)

    found = await jobs.get(job.id)

    assert found.model_dump(exclude={"created_at"}) == job.model_dump(exclude={"created_at"})


async def test_an_accepted_job_keeps_when_it_was_made_to_the_millisecond(jobs: Jobs) -> None:
    job = await accepted(jobs)

    found = await jobs.get(job.id)

    assert abs((found.created_at - job.created_at).total_seconds()) < 0.001


async def test_an_accepted_job_is_stored_as_beanie_stores_it(stores: Stores) -> None:
    result = {"bytes": 3, "ratio": 2.5, "levels": {"small": {"width": 1}}, "names": ["a", None]}
    stages = {"small": StageRecord(state=StageState.DONE, message_id="m", result=result)}
    job = new_job(owner="ada", failure=FAILURE, stages=stages, metadata={"sku": "A-1"})
    stored = Job.get_motor_collection()

    await stores.jobs.insert(job)
    inserted = await stored.find_one_and_delete({"_id": job.id})
    await job.insert()

    assert inserted == await stored.find_one({"_id": job.id})


async def test_an_id_is_accepted_once(jobs: Jobs) -> None:
    job = await accepted(jobs)

    with pytest.raises(DuplicateKeyError):
        await jobs.insert(new_job(id=job.id))


async def test_an_unknown_job_is_not_found(jobs: Jobs) -> None:
    with pytest.raises(JobNotFound):
        await jobs.get("nobody")


async def test_what_is_handed_out_is_a_copy(jobs: Jobs) -> None:
    job = await accepted(jobs)
    handed_out = await jobs.get(job.id)

    handed_out.stages["validate"].attempts = 7

    assert (await jobs.get(job.id)).stages["validate"].attempts == 0


async def test_a_job_past_its_time_is_due(jobs: Jobs) -> None:
    job = await accepted(jobs, next_dispatch_ms=now_ms() - 1)

    assert ids(await jobs.find_due(limit=10)) == [job.id]


async def test_a_job_before_its_time_is_not_due(jobs: Jobs) -> None:
    await accepted(jobs, next_dispatch_ms=now_ms() + HOUR)

    assert await jobs.find_due(limit=10) == []


async def test_a_job_of_before_a_step_of_the_clock_is_due(jobs: Jobs) -> None:
    job = await accepted(jobs, next_dispatch_ms=now_ms() + 2 * HOUR, updated_ms=now_ms() + HOUR)

    await jobs.end_long_waits(longest_ms=60_000)

    assert ids(await jobs.find_due(limit=10)) == [job.id]


@pytest.mark.parametrize("change", [{"updated_ms": 0}, {"next_dispatch_ms": 50_000}])
async def test_a_job_that_waits_for_long_is_not_of_before_a_step(jobs: Jobs, change: dict[str, int]) -> None:
    times = {"next_dispatch_ms": 2 * HOUR, "updated_ms": HOUR} | change
    await accepted(jobs, **{name: now_ms() + ms for name, ms in times.items()})

    await jobs.end_long_waits(longest_ms=60_000)

    assert await jobs.find_due(limit=10) == []


async def test_a_job_in_the_works_can_be_due(jobs: Jobs) -> None:
    job = await accepted(jobs, state=JobState.PROCESSING)

    assert ids(await jobs.find_due(limit=10)) == [job.id]


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_that_ended_is_never_due(jobs: Jobs, state: JobState) -> None:
    await accepted(jobs, state=state)

    assert await jobs.find_due(limit=10) == []


async def test_the_longest_waiting_are_due_first(jobs: Jobs) -> None:
    now = now_ms()
    made = [await accepted(jobs, next_dispatch_ms=now - wait) for wait in (10, 30, 20)]

    due = await jobs.find_due(limit=2)

    assert [job.id for job in due] == [made[1].id, made[2].id]


async def test_a_postponed_job_is_not_due(jobs: Jobs) -> None:
    job = await accepted(jobs)

    await jobs.postpone(job, until_ms=now_ms() + HOUR)

    assert await jobs.find_due(limit=10) == []


async def test_a_postponed_job_is_due_at_its_new_time(jobs: Jobs) -> None:
    job = await accepted(jobs)
    until = now_ms() + HOUR

    await jobs.postpone(job, until_ms=until)

    assert (await jobs.get(job.id)).next_dispatch_ms == until


async def test_a_job_that_moved_meanwhile_is_not_postponed(jobs: Jobs) -> None:
    seen = await accepted(jobs)
    await jobs.postpone(seen, until_ms=seen.next_dispatch_ms + 1)

    assert not await jobs.postpone(seen, until_ms=now_ms() + HOUR)


async def test_a_job_taken_for_dispatch_comes_back_with_the_next_generation(jobs: Jobs) -> None:
    job = await accepted(jobs, generation=2)

    taken = await jobs.redispatch(job, next_dispatch_ms=now_ms() + HOUR)

    assert taken is not None
    assert taken.generation == 3


async def test_a_job_taken_for_dispatch_is_recorded_as_it_comes_back(jobs: Jobs) -> None:
    job = await accepted(jobs, dispatched_ms=1)

    taken = await jobs.redispatch(job, next_dispatch_ms=now_ms() + HOUR)

    found = await jobs.get(job.id)
    assert taken is not None
    assert (found.generation, found.next_dispatch_ms, found.dispatched_ms) == (
        taken.generation,
        taken.next_dispatch_ms,
        taken.dispatched_ms,
    )


async def test_a_job_taken_for_dispatch_notes_the_time(jobs: Jobs) -> None:
    start = now_ms()
    job = await accepted(jobs, dispatched_ms=1)

    await jobs.redispatch(job, next_dispatch_ms=now_ms() + HOUR)

    assert start <= (await jobs.get(job.id)).dispatched_ms <= now_ms()


async def test_of_many_that_would_dispatch_a_job_one_does(jobs: Jobs) -> None:
    seen = await accepted(jobs)

    taken = await asyncio.gather(*(jobs.redispatch(seen, next_dispatch_ms=now_ms() + HOUR + i) for i in range(8)))

    assert len([job for job in taken if job is not None]) == 1


async def test_a_job_that_another_dispatched_for_the_same_time_is_not_dispatched(jobs: Jobs) -> None:
    seen = await accepted(jobs)
    await jobs.redispatch(seen, next_dispatch_ms=seen.next_dispatch_ms)

    assert await jobs.redispatch(seen, next_dispatch_ms=now_ms() + HOUR) is None


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_that_ended_meanwhile_is_not_dispatched(jobs: Jobs, state: JobState) -> None:
    ended = await accepted(jobs, state=state)

    assert await jobs.redispatch(ended, next_dispatch_ms=now_ms() + HOUR) is None


async def test_a_dispatch_given_back_costs_no_generation(jobs: Jobs) -> None:
    job = await accepted(jobs, generation=1)
    taken = await jobs.redispatch(job, next_dispatch_ms=now_ms() + HOUR)
    assert taken is not None

    await jobs.undo_redispatch(taken, dispatched_ms=1, next_dispatch_ms=now_ms() + 5)

    assert (await jobs.get(job.id)).generation == 1


async def test_a_dispatch_given_back_is_due_when_it_says(jobs: Jobs) -> None:
    taken = await jobs.redispatch(await accepted(jobs), next_dispatch_ms=now_ms() + HOUR)
    assert taken is not None

    await jobs.undo_redispatch(taken, dispatched_ms=1, next_dispatch_ms=42)

    assert (await jobs.get(taken.id)).next_dispatch_ms == 42


async def test_a_dispatch_given_back_was_never_made(jobs: Jobs) -> None:
    job = await accepted(jobs, dispatched_ms=1)
    taken = await jobs.redispatch(job, next_dispatch_ms=now_ms() + HOUR)
    assert taken is not None

    await jobs.undo_redispatch(taken, dispatched_ms=job.dispatched_ms, next_dispatch_ms=now_ms())

    assert (await jobs.get(job.id)).dispatched_ms == 1


async def test_a_dispatch_is_given_back_by_the_one_who_has_it_alone(jobs: Jobs) -> None:
    job = await accepted(jobs)
    first = await jobs.redispatch(job, next_dispatch_ms=now_ms())
    assert first is not None
    await jobs.redispatch(first, next_dispatch_ms=now_ms() + HOUR)

    await jobs.undo_redispatch(first, dispatched_ms=1, next_dispatch_ms=now_ms())

    assert (await jobs.get(job.id)).generation == 2


async def test_a_buried_job_is_dead(jobs: Jobs) -> None:
    job = await accepted(jobs)

    await jobs.mark_dead(job, FAILURE)

    assert (await jobs.get(job.id)).state is JobState.DEAD


async def test_a_buried_job_says_why(jobs: Jobs) -> None:
    job = await accepted(jobs)

    await jobs.mark_dead(job, FAILURE)

    assert (await jobs.get(job.id)).failure == FAILURE


async def test_a_buried_job_says_when_it_ended(jobs: Jobs) -> None:
    start = now_ms()
    job = await accepted(jobs)

    await jobs.mark_dead(job, FAILURE)

    assert start <= ((await jobs.get(job.id)).finished_ms or 0) <= now_ms()


async def test_a_job_that_moved_meanwhile_is_not_buried(jobs: Jobs) -> None:
    seen = await accepted(jobs)
    await jobs.postpone(seen, until_ms=seen.next_dispatch_ms + 1)

    await jobs.mark_dead(seen, FAILURE)

    assert (await jobs.get(seen.id)).is_active


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_that_ended_is_not_buried(jobs: Jobs, state: JobState) -> None:
    ended = await accepted(jobs, state=state)

    assert not await jobs.mark_dead(ended, FAILURE)


async def test_a_scheduled_job_is_due(jobs: Jobs) -> None:
    job = await accepted(jobs, next_dispatch_ms=now_ms() + HOUR)

    await jobs.schedule_dispatch(job.id)

    assert ids(await jobs.find_due(limit=10)) == [job.id]


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_that_ended_is_not_scheduled(jobs: Jobs, state: JobState) -> None:
    job = await accepted(jobs, state=state, next_dispatch_ms=HOUR)

    await jobs.schedule_dispatch(job.id)

    assert (await jobs.get(job.id)).next_dispatch_ms == HOUR


async def test_an_unknown_job_is_scheduled_without_an_error(jobs: Jobs) -> None:
    await jobs.schedule_dispatch("nobody")

    assert await jobs.find_due(limit=10) == []


async def test_jobs_with_blobs_are_those_that_ended_in_the_states_asked_for(jobs: Jobs) -> None:
    made = {state: await accepted(jobs, state=state, finished_ms=1) for state in ENDED}

    found = await jobs.find_with_blobs([JobState.FAILED, JobState.CANCELLED], before_ms=2, limit=10)

    assert ids(found) == ids([made[JobState.FAILED], made[JobState.CANCELLED]])


async def test_jobs_with_blobs_are_those_that_ended_before_a_time(jobs: Jobs) -> None:
    old, _ = [await accepted(jobs, state=JobState.DONE, finished_ms=ms) for ms in (1999, 2000)]

    found = await jobs.find_with_blobs([JobState.DONE], before_ms=2000, limit=10)

    assert ids(found) == [old.id]


async def test_a_job_whose_blobs_were_removed_has_none(jobs: Jobs) -> None:
    job = await accepted(jobs, state=JobState.DONE, finished_ms=1, expiring_ms=1)

    await jobs.mark_blobs_removed(job)

    assert await jobs.find_with_blobs([JobState.DONE], before_ms=2, limit=10) == []


@pytest.mark.parametrize("result", [None, {"blob": "master.1"}, {"blob": "master.1", "placeholder": {"color": "#fff"}}])
async def test_a_placeholder_is_removed_with_the_blobs(jobs: Jobs, result: dict[str, Any] | None) -> None:
    stages = {"normalize": StageRecord(result=result)}
    job = await accepted(jobs, state=JobState.DONE, finished_ms=1, expiring_ms=1, stages=stages)

    await jobs.mark_blobs_removed(job)

    found = await jobs.get(job.id)
    assert found.blobs_removed_ms is not None
    assert found.stages["normalize"].result == (result and {"blob": "master.1"})


@pytest.mark.parametrize("kind", list(Kind))
async def test_the_blobs_of_a_job_of_any_kind_are_recorded_as_removed(jobs: Jobs, kind: Kind) -> None:
    job = await accepted(jobs, kind=kind, state=JobState.DONE, finished_ms=1, expiring_ms=1)

    await jobs.mark_blobs_removed(job)

    found = await jobs.get(job.id)
    assert found.blobs_removed_ms is not None
    assert found.stages == job.stages


def fetched_from(address: str) -> dict[str, Any]:
    """Return the fields of a job whose original is still to be fetched."""
    original = Original(blob="hers/original", name=None, media_type="application/octet-stream", bytes=0, sha256="")
    return {"original": original, "source": Source(address=address)}


async def test_a_job_that_cannot_be_fetched_any_more_forgets_the_query_of_its_address(jobs: Jobs) -> None:
    source = fetched_from("https://photos.example/a.jpg?signature=secret")
    cancelled = await accepted(jobs, **source)
    expired = await accepted(jobs, state=JobState.FAILED, expiring_ms=1, **source)
    failed = await accepted(jobs, state=JobState.FAILED, **source)

    await jobs.cancel(cancelled)
    await jobs.mark_blobs_removed(expired)

    found = [(await jobs.get(job.id)).source for job in (cancelled, expired, failed)]
    forgotten = "https://photos.example/a.jpg"
    assert [each and each.address for each in found] == [forgotten, forgotten, f"{forgotten}?signature=secret"]


async def test_a_job_whose_original_is_not_fetched_has_no_duplicate(jobs: Jobs) -> None:
    await accepted(jobs, state=JobState.DONE, **fetched_from("https://photos.example/a.jpg"))

    assert await jobs.find_duplicate(await accepted(jobs, **fetched_from("https://photos.example/a.jpg"))) is None


async def test_jobs_with_blobs_are_no_more_than_asked_for(jobs: Jobs) -> None:
    for _ in range(3):
        await accepted(jobs, state=JobState.DONE, finished_ms=1)

    assert len(await jobs.find_with_blobs([JobState.DONE], before_ms=2, limit=2)) == 2


async def test_jobs_with_blobs_are_those_that_ended_after_a_time_in_the_order_of_their_ends(jobs: Jobs) -> None:
    made = {ms: await accepted(jobs, state=JobState.DONE, finished_ms=ms) for ms in (3, 2, 4, 1)}

    found = await jobs.find_with_blobs([JobState.DONE], after_ms=1, before_ms=9, limit=2)

    assert [job.id for job in found] == [made[2].id, made[3].id]


@pytest.mark.parametrize("state", ENDED)
async def test_an_ended_job_is_marked_when_its_blobs_begin_to_go(jobs: Jobs, state: JobState) -> None:
    start = now_ms()
    job = await accepted(jobs, state=state, finished_ms=1, updated_ms=1)

    assert await jobs.mark_expiring(await jobs.get(job.id))

    found = await jobs.get(job.id)
    assert start <= (found.expiring_ms or 0) == found.updated_ms <= now_ms()


async def test_a_job_whose_mark_was_left_by_a_process_that_died_is_marked_again(jobs: Jobs) -> None:
    job = await accepted(jobs, state=JobState.DONE, finished_ms=1, expiring_ms=1)

    assert await jobs.mark_expiring(await jobs.get(job.id))


async def test_a_job_is_marked_by_one_of_those_who_read_it(jobs: Jobs) -> None:
    job = await accepted(jobs, state=JobState.DONE, finished_ms=1)

    assert [await jobs.mark_expiring(job) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("ends_again", [False, True], ids=["active", "ended again"])
async def test_a_job_that_was_retried_meanwhile_is_not_marked(jobs: Jobs, ends_again: bool) -> None:
    job = await accepted(jobs, state=JobState.DEAD, finished_ms=1)
    retried = await jobs.retry(job, next_dispatch_ms=now_ms())
    assert retried is not None
    if ends_again:
        await jobs.mark_dead(retried, FAILURE)

    assert not await jobs.mark_expiring(job)

    assert (await jobs.get(job.id)).expiring_ms is None


async def test_an_unknown_job_is_not_marked(jobs: Jobs) -> None:
    assert not await jobs.mark_expiring(new_job(state=JobState.DONE))


@pytest.mark.parametrize(
    "fields",
    [
        {"state": JobState.DEAD},
        {"state": JobState.PROCESSING, "expiring_ms": 1},
        {"state": JobState.DEAD, "expiring_ms": 1, "blobs_removed_ms": 42},
    ],
    ids=["not marked", "active", "removed before"],
)
async def test_blobs_are_recorded_as_removed_once_and_of_marked_jobs_alone(jobs: Jobs, fields: dict[str, Any]) -> None:
    job = await accepted(jobs, **fields)
    seen = await jobs.get(job.id)

    await jobs.mark_blobs_removed(job)

    assert await jobs.get(job.id) == seen


async def test_a_job_records_when_its_blobs_were_removed(jobs: Jobs) -> None:
    start = now_ms()
    job = await accepted(jobs, state=JobState.DONE, expiring_ms=1)

    await jobs.mark_blobs_removed(job)

    assert start <= ((await jobs.get(job.id)).blobs_removed_ms or 0) <= now_ms()


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_whose_blobs_went_long_ago_is_forgotten(jobs: Jobs, state: JobState) -> None:
    job = await accepted(jobs, state=state, blobs_removed_ms=1999)

    await jobs.delete_expired(before_ms=2000, limit=10)

    with pytest.raises(JobNotFound):
        await jobs.get(job.id)


async def test_forgetting_tells_how_many(jobs: Jobs) -> None:
    for _ in range(3):
        await accepted(jobs, state=JobState.DONE, blobs_removed_ms=1)

    assert await jobs.delete_expired(before_ms=2, limit=10) == 3


async def test_no_more_are_forgotten_at_once_than_asked_for(jobs: Jobs) -> None:
    for _ in range(3):
        await accepted(jobs, state=JobState.DONE, blobs_removed_ms=1)

    assert [await jobs.delete_expired(before_ms=2, limit=2) for _ in range(3)] == [2, 1, 0]


async def test_forgetting_nothing_tells_so(jobs: Jobs) -> None:
    assert await jobs.delete_expired(before_ms=2, limit=10) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"state": JobState.DONE, "blobs_removed_ms": 2000},
        {"state": JobState.DONE, "blobs_removed_ms": None},
        {"state": JobState.PROCESSING, "blobs_removed_ms": 1},
    ],
    ids=["not long ago", "not removed", "still active"],
)
async def test_a_job_is_not_forgotten_early(jobs: Jobs, fields: dict[str, Any]) -> None:
    job = await accepted(jobs, **fields)

    await jobs.delete_expired(before_ms=2000, limit=10)

    assert (await jobs.get(job.id)).id == job.id


async def test_unknown_ids_are_those_without_a_job(jobs: Jobs) -> None:
    job = await accepted(jobs)

    assert await jobs.find_missing(["zoe", job.id, "ada"]) == ["ada", "zoe"]


async def test_a_job_has_no_blobs_once_it_has_ended_and_they_were_removed(jobs: Jobs) -> None:
    removed, ended = [await accepted(jobs, state=JobState.CANCELLED, blobs_removed_ms=ms) for ms in (1, None)]
    active = await accepted(jobs, state=JobState.PROCESSING, blobs_removed_ms=1)

    found = await jobs.find_without_blobs(["zoe", removed.id, ended.id, active.id])

    assert found == sorted(["zoe", removed.id])


async def test_jobs_are_counted_by_state_and_every_state_has_a_number(jobs: Jobs) -> None:
    for state in (JobState.DONE, JobState.DONE, JobState.DEAD, JobState.ACCEPTED):
        await accepted(jobs, state=state)

    assert await jobs.count_by_state() == dict.fromkeys(JobState, 0) | {
        JobState.DONE: 2,
        JobState.DEAD: 1,
        JobState.ACCEPTED: 1,
    }


async def test_the_oldest_job_of_a_state_is_the_one_that_came_first(jobs: Jobs) -> None:
    now = now_ms()
    await accepted(jobs, id=new_job_id(at_ms=now - HOUR), state=JobState.DONE)
    young = await accepted(jobs, id=new_job_id(at_ms=now), state=JobState.PROCESSING)
    old = await accepted(jobs, id=new_job_id(at_ms=now - 1000), state=JobState.PROCESSING)

    found = await jobs.find_oldest(JobState.PROCESSING)

    assert found is not None
    assert (found.id, found.upload_started_ms) == (old.id, now - 1000)
    assert young.upload_started_ms == now


async def test_where_no_job_is_in_a_state_none_is_the_oldest(jobs: Jobs) -> None:
    await accepted(jobs, state=JobState.DONE)

    assert await jobs.find_oldest(JobState.PROCESSING) is None


async def test_every_change_that_can_be_seen_makes_a_later_version(jobs: Jobs) -> None:
    job = await accepted(jobs)
    seen = [(await jobs.get(job.id)).version]

    await jobs.postpone(job, until_ms=now_ms() + HOUR)
    seen.append((await jobs.get(job.id)).version)
    taken = await jobs.redispatch(await jobs.get(job.id), next_dispatch_ms=now_ms())
    seen.append((await jobs.get(job.id)).version)
    await jobs.mark_dead(await jobs.get(job.id), FAILURE)
    seen.append((await jobs.get(job.id)).version)
    await jobs.clear_outbox(await jobs.get(job.id))
    retried = await jobs.retry(await jobs.get(job.id), next_dispatch_ms=now_ms())
    seen.append((await jobs.get(job.id)).version)
    await jobs.cancel(await jobs.get(job.id))
    seen.append((await jobs.get(job.id)).version)
    await jobs.mark_expiring(await jobs.get(job.id))
    seen.append((await jobs.get(job.id)).version)
    await jobs.mark_blobs_removed(await jobs.get(job.id))
    seen.append((await jobs.get(job.id)).version)

    assert seen == [0, 1, 2, 3, 4, 5, 6, 7]
    assert (taken and taken.version, retried and retried.version) == (2, 4)


async def test_many_jobs_are_found_at_once_and_those_that_are_not_there_are_left_out(jobs: Jobs) -> None:
    one, other = await accepted(jobs), await accepted(jobs)
    await accepted(jobs)
    await jobs.cancel(other)

    wanted = [one.id, other.id, new_job_id()]

    assert ids(await jobs.get_many(wanted)) == sorted([one.id, other.id])
    assert await jobs.get_versions(wanted) == {one.id: 0, other.id: 1}

"""What clients ask of job documents: lists, duplicates, an end, another try. The real ones, and their fake."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from storage.clock import now_ms
from storage.documents import Failure, Job, JobState, Kind, Operation, StageRecord, StageState
from storage.errors import JobNotFound
from storage.jobs import Jobs
from tests.support.fakes import new_job, new_job_id

HOUR = 3_600_000
ACTIVE_STATES = [JobState.ACCEPTED, JobState.PROCESSING]
ENDED = [JobState.DONE, JobState.FAILED, JobState.DEAD, JobState.CANCELLED]
DONE = StageRecord(state=StageState.DONE, attempts=2, queued_ms=1, finished_ms=9, result={"width": 640})
SPENT = StageRecord(
    state=StageState.FAILED, attempts=5, retries=1, task_id="theirs", worker="there", finished_ms=9, error="crash"
)
FAILURE = Failure(stage="normalize", code="attempts_exhausted", message="Too many times.")


async def accepted(jobs: Jobs, kind: Kind = Kind.PREVIEWS, **fields: Any) -> Job:
    job = new_job(kind, **fields)
    await jobs.insert(job)
    return job


async def dead(jobs: Jobs, **fields: Any) -> Job:
    """Accept a job that died in its second stage."""
    stages = {"validate": DONE, "normalize": SPENT}
    values: dict[str, Any] = {"state": JobState.DEAD, "stages": stages, "failure": FAILURE, "finished_ms": 10}
    return await accepted(jobs, **(values | fields))


async def page(
    jobs: Jobs,
    *,
    owner: str | None = None,
    state: JobState | None = None,
    kind: Kind | None = None,
    before_id: str | None = None,
    limit: int = 10,
) -> list[str]:
    found = await jobs.page(owner=owner, state=state, kind=kind, before_id=before_id, limit=limit)
    return [job.id for job in found.jobs]


async def retried(jobs: Jobs, job: Job) -> Job:
    found = await jobs.retry(job, next_dispatch_ms=now_ms() + HOUR)
    assert found is not None
    return found


async def test_an_owner_finds_a_job_of_theirs(jobs: Jobs) -> None:
    job = await accepted(jobs, owner="ada")

    assert (await jobs.get(job.id, owner="ada")).id == job.id


@pytest.mark.parametrize("owner", ["zoe", None])
async def test_an_owner_does_not_find_a_job_of_another_or_of_nobody(jobs: Jobs, owner: str | None) -> None:
    job = await accepted(jobs, owner=owner)

    with pytest.raises(JobNotFound):
        await jobs.get(job.id, owner="ada")


async def test_where_nobody_owns_anything_every_job_is_found(jobs: Jobs) -> None:
    job = await accepted(jobs, owner="ada")

    assert (await jobs.get(job.id)).id == job.id


async def test_a_page_begins_with_the_youngest_job(jobs: Jobs) -> None:
    young, old, middle = [(await accepted(jobs, id=new_job_id(at_ms=ms))).id for ms in (3000, 1000, 2000)]

    assert await page(jobs) == [young, middle, old]


async def test_a_page_is_no_longer_than_asked_for(jobs: Jobs) -> None:
    made = [(await accepted(jobs, id=new_job_id(at_ms=ms))).id for ms in (1000, 2000, 3000)]

    assert await page(jobs, limit=2) == [made[2], made[1]]


async def test_a_page_goes_on_below_the_last_job_of_the_one_before(jobs: Jobs) -> None:
    made = [(await accepted(jobs, id=new_job_id(at_ms=ms))).id for ms in (1000, 2000, 3000)]

    assert await page(jobs, before_id=made[2]) == [made[1], made[0]]


async def test_pages_hold_every_job_once_though_jobs_come_in_between(jobs: Jobs) -> None:
    made = [(await accepted(jobs, id=new_job_id(at_ms=ms))).id for ms in range(1000, 6000, 1000)]

    seen = await page(jobs, limit=2)
    await accepted(jobs, id=new_job_id(at_ms=9000))
    while following := await page(jobs, before_id=seen[-1], limit=2):
        seen += following

    assert seen == made[::-1]


async def test_a_page_of_an_owner_holds_their_jobs_alone(jobs: Jobs) -> None:
    mine, *_ = [(await accepted(jobs, owner=owner)).id for owner in ("ada", "zoe", None)]

    assert await page(jobs, owner="ada") == [mine]


async def test_a_page_where_nobody_owns_anything_holds_all(jobs: Jobs) -> None:
    made = [(await accepted(jobs, owner=owner)).id for owner in ("ada", "zoe", None)]

    assert sorted(await page(jobs)) == sorted(made)


@pytest.mark.parametrize("state", list(JobState))
async def test_a_page_can_be_of_one_state(jobs: Jobs, state: JobState) -> None:
    made = {each: (await accepted(jobs, state=each)).id for each in JobState}

    assert await page(jobs, state=state) == [made[state]]


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_page_can_be_of_one_kind(jobs: Jobs, kind: Kind) -> None:
    made = {each: (await accepted(jobs, each)).id for each in Kind}

    assert await page(jobs, kind=kind) == [made[kind]]


async def test_a_page_can_be_of_one_owner_one_state_and_one_kind(jobs: Jobs) -> None:
    wanted = await accepted(jobs, Kind.CROP, state=JobState.DONE, owner="ada")
    await accepted(jobs, Kind.CROP, state=JobState.DONE, owner="zoe")
    await accepted(jobs, Kind.CROP, state=JobState.DEAD, owner="ada")
    await accepted(jobs, Kind.RESIZE, state=JobState.DONE, owner="ada")

    assert await page(jobs, owner="ada", state=JobState.DONE, kind=Kind.CROP) == [wanted.id]


async def test_a_page_where_no_job_is_wanted_is_empty(jobs: Jobs) -> None:
    assert await page(jobs) == []


async def test_a_twin_is_a_finished_job_of_the_same_owner_that_did_the_same(jobs: Jobs) -> None:
    duplicate = await accepted(jobs, state=JobState.DONE, owner="ada")

    found = await jobs.find_duplicate(new_job(owner="ada"))

    assert found is not None
    assert found.id == duplicate.id


async def test_a_job_of_nobody_has_a_twin_of_nobody(jobs: Jobs) -> None:
    duplicate = await accepted(jobs, state=JobState.DONE)

    found = await jobs.find_duplicate(new_job())

    assert found is not None
    assert found.id == duplicate.id


STEPS = {"steps": [{"grayscale": {}}, {"blur": {"radius": 3.0}}]}


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [(Kind.CROP, {"aspect": [16, 9]}), (Kind.GRAYSCALE, {}), (Kind.RESIZE, {"width": 10}), (Kind.PROCESS, STEPS)],
)
async def test_an_operation_has_a_twin_of_the_same_parameters(
    jobs: Jobs, kind: Kind, parameters: dict[str, Any]
) -> None:
    operation = Operation(parameters=parameters, format="png")
    duplicate = await accepted(jobs, kind, state=JobState.DONE, operation=operation)

    found = await jobs.find_duplicate(new_job(kind, operation=operation.model_copy(deep=True)))

    assert found is not None
    assert found.id == duplicate.id


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        ({"owner": "zoe"}, {"owner": "ada"}),
        ({"owner": "zoe"}, {"owner": None}),
        ({"owner": None}, {"owner": "ada"}),
        ({"token_id": "token-one"}, {"token_id": "token-two"}),
        ({"token_id": None}, {"token_id": "token-two"}),
        ({"kind": Kind.CROP}, {"kind": Kind.RESIZE}),
        ({"operation": Operation(format="png")}, {"operation": Operation(format="webp")}),
        ({"operation": Operation(quality=80)}, {"operation": Operation()}),
        ({"operation": Operation(parameters={"width": 1})}, {"operation": Operation(parameters={"width": 2})}),
        ({"operation": Operation(renditions={"a": 1})}, {"operation": Operation(renditions={"a": 2})}),
        ({"original": new_job().original.model_copy(update={"sha256": "0" * 64})}, {}),
        ({"state": JobState.PROCESSING}, {}),
        ({"state": JobState.FAILED}, {}),
        ({"state": JobState.DEAD}, {}),
        ({"state": JobState.CANCELLED}, {}),
        ({"blobs_removed_ms": 1}, {}),
        ({"expiring_ms": 1}, {}),
    ],
    ids=lambda fields: (
        "-".join(f"{name}={value}" for name, value in fields.items() if name != "original") or "other bytes"
    ),
)
async def test_a_job_that_did_otherwise_or_kept_nothing_is_no_twin(
    jobs: Jobs, theirs: dict[str, Any], mine: dict[str, Any]
) -> None:
    await accepted(jobs, **({"state": JobState.DONE} | theirs))

    assert await jobs.find_duplicate(new_job(**mine)) is None


@pytest.mark.parametrize("token_id", [None, "token-one"])
async def test_a_twin_that_a_token_has_made_is_found_for_the_token_and_for_the_key(
    jobs: Jobs, token_id: str | None
) -> None:
    theirs: dict[str, Any] = {"state": JobState.DONE, "token_id": "token-one"}
    duplicate = await accepted(jobs, **theirs)

    found = await jobs.find_duplicate(new_job(token_id=token_id))

    assert found is not None
    assert found.id == duplicate.id


async def test_of_several_twins_the_youngest_that_kept_its_blobs_is_found(jobs: Jobs) -> None:
    for ms, removed_ms in ((1000, None), (3000, 1), (2000, None)):
        await accepted(jobs, id=new_job_id(at_ms=ms), state=JobState.DONE, blobs_removed_ms=removed_ms)

    found = await jobs.find_duplicate(new_job())

    assert found is not None
    assert found.id < new_job_id(at_ms=2001)
    assert found.id > new_job_id(at_ms=1999)


@pytest.mark.parametrize("state", ACTIVE_STATES)
async def test_a_job_under_way_is_cancelled(jobs: Jobs, state: JobState) -> None:
    job = await accepted(jobs, state=state)

    assert await jobs.cancel(job)
    assert (await jobs.get(job.id)).state is JobState.CANCELLED


async def test_a_cancelled_job_says_when(jobs: Jobs) -> None:
    start = now_ms()
    job = await accepted(jobs, updated_ms=1)

    await jobs.cancel(job)

    found = await jobs.get(job.id)
    assert found.finished_ms == found.updated_ms
    assert start <= found.updated_ms <= now_ms()


async def test_a_job_that_moved_meanwhile_is_cancelled(jobs: Jobs) -> None:
    seen = await accepted(jobs)
    await jobs.redispatch(seen, next_dispatch_ms=now_ms() + HOUR)

    assert await jobs.cancel(seen)


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_that_ended_is_not_cancelled(jobs: Jobs, state: JobState) -> None:
    job = await accepted(jobs, state=state, finished_ms=10)

    assert not await jobs.cancel(job)
    assert (await jobs.get(job.id)).state is state


async def test_an_unknown_job_is_not_cancelled(jobs: Jobs) -> None:
    assert not await jobs.cancel(new_job())


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_that_ended_is_removed(jobs: Jobs, state: JobState) -> None:
    job = await accepted(jobs, state=state)

    await jobs.remove(job.id)

    with pytest.raises(JobNotFound):
        await jobs.get(job.id)


@pytest.mark.parametrize("state", ACTIVE_STATES)
async def test_a_job_under_way_is_not_removed(jobs: Jobs, state: JobState) -> None:
    job = await accepted(jobs, state=state)

    await jobs.remove(job.id)

    assert (await jobs.get(job.id)).state is state


async def test_removing_a_job_leaves_the_others(jobs: Jobs) -> None:
    gone, other = [await accepted(jobs, state=JobState.DONE) for _ in range(2)]

    await jobs.remove(gone.id)

    assert await page(jobs) == [other.id]


async def test_removing_an_unknown_job_is_no_error(jobs: Jobs) -> None:
    await jobs.remove("nobody")

    assert await page(jobs) == []


async def test_a_retried_job_is_under_way(jobs: Jobs) -> None:
    job = await retried(jobs, await dead(jobs))

    assert (await jobs.get(job.id)).state is JobState.PROCESSING


async def test_a_retried_job_has_not_ended(jobs: Jobs) -> None:
    job = await retried(jobs, await dead(jobs))

    found = await jobs.get(job.id)
    assert (found.finished_ms, found.failure) == (None, None)


async def test_a_retried_job_is_recorded_as_it_comes_back(jobs: Jobs) -> None:
    job = await retried(jobs, await dead(jobs, owner="ada"))

    found = await jobs.get(job.id)
    assert found.model_dump(exclude={"created_at"}) == job.model_dump(exclude={"created_at"})


async def test_a_retried_job_is_of_the_next_generation(jobs: Jobs) -> None:
    job = await retried(jobs, await dead(jobs, generation=2))

    assert (await jobs.get(job.id)).generation == 3


async def test_a_retried_job_keeps_what_is_done(jobs: Jobs) -> None:
    job = await retried(jobs, await dead(jobs))

    assert (await jobs.get(job.id)).stages["validate"] == DONE


async def test_a_retried_job_waits_in_the_stage_that_it_died_in(jobs: Jobs) -> None:
    start = now_ms()
    job = await retried(jobs, await dead(jobs))

    stage = (await jobs.get(job.id)).stages["normalize"]
    assert (stage.state, stage.started_ms, stage.finished_ms) == (StageState.PENDING, None, None)
    assert start <= (stage.queued_ms or 0) <= now_ms()


async def test_a_retried_job_has_a_whole_budget(jobs: Jobs) -> None:
    job = await retried(jobs, await dead(jobs))

    stage = (await jobs.get(job.id)).stages["normalize"]
    assert stage.attempts - stage.retries == 0


async def test_the_token_of_a_retried_stage_goes_on(jobs: Jobs) -> None:
    job = await retried(jobs, await dead(jobs))

    assert (await jobs.get(job.id)).stages["normalize"].attempts == SPENT.attempts


async def test_a_retried_job_is_left_to_the_workers_at_first(jobs: Jobs) -> None:
    job = await dead(jobs)
    until_ms = now_ms() + HOUR

    await jobs.retry(job, next_dispatch_ms=until_ms)

    assert (await jobs.get(job.id)).next_dispatch_ms == until_ms


async def test_a_retried_job_notes_when_it_was_sent(jobs: Jobs) -> None:
    start = now_ms()
    job = await retried(jobs, await dead(jobs, dispatched_ms=1, updated_ms=1))

    found = await jobs.get(job.id)
    assert found.dispatched_ms == found.updated_ms
    assert start <= found.updated_ms <= now_ms()


async def test_of_many_that_would_retry_a_job_one_does(jobs: Jobs) -> None:
    seen = await dead(jobs)

    found = await asyncio.gather(*(jobs.retry(seen, next_dispatch_ms=now_ms() + i) for i in range(8)))

    assert len([job for job in found if job is not None]) == 1


async def test_many_that_would_retry_a_job_cost_one_generation(jobs: Jobs) -> None:
    seen = await dead(jobs)

    await asyncio.gather(*(jobs.retry(seen, next_dispatch_ms=now_ms() + i) for i in range(8)))

    assert (await jobs.get(seen.id)).generation == seen.generation + 1


async def test_a_job_that_died_again_meanwhile_is_not_retried_by_who_saw_it_before(jobs: Jobs) -> None:
    seen = await dead(jobs)
    again = await retried(jobs, seen)
    await jobs.mark_dead(again, FAILURE)

    assert await jobs.retry(seen, next_dispatch_ms=now_ms()) is None


@pytest.mark.parametrize("fields", [{"expiring_ms": 1}, {"blobs_removed_ms": 1}], ids=str)
async def test_a_job_whose_blobs_are_gone_or_going_is_not_retried(jobs: Jobs, fields: dict[str, int]) -> None:
    seen = await dead(jobs, **fields)

    assert await jobs.retry(seen, next_dispatch_ms=now_ms()) is None
    assert (await jobs.get(seen.id)).state is JobState.DEAD


async def test_a_job_that_was_removed_meanwhile_is_not_retried(jobs: Jobs) -> None:
    seen = await dead(jobs)
    await jobs.remove(seen.id)

    assert await jobs.retry(seen, next_dispatch_ms=now_ms()) is None

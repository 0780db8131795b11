"""Processing a job again: its results are replaced at once, or stay as they were, whatever earlier runs still do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pipeline.results import find_results
from pipeline.routing import FINALIZE, NORMALIZE, VALIDATE
from pipeline.settings import Settings
from pipeline.stage_order import stage_order
from storage.clock import now_ms
from storage.documents import Failure, Job, JobRecord, JobState, Kind, Lane, Operation, StageState
from storage.jobs import Jobs
from storage.ledger import Ledger
from storage.stores import Stores
from tests.support.fakes import RENDITIONS, new_job
from tests.support.revisions import (
    REFUSAL,
    Run,
    expected_results,
    insert_done,
    read_results,
    reprocess,
    run_to_end,
    start_run,
    tidy,
)

HOUR = 3_600_000
BEFORE = expected_results(0, tuple(RENDITIONS))
EXHAUSTED = Failure(stage=None, code="dispatches_exhausted", message="Too many times.")
EDGES = {"small": 100, "card": 200}
ENDINGS = ["complete", "refuse", "mark_dead", "release"]


async def inserted(jobs: Jobs, **fields: Any) -> Job:
    values: dict[str, Any] = {"state": JobState.DONE, "finished_ms": 5}
    job = new_job(**(values | fields))
    await jobs.insert(job)
    return await jobs.get(job.id)


async def begin(jobs: Jobs, job: Job, edges: dict[str, int] = EDGES, *, lane: Lane = Lane.EXPRESS) -> Job | None:
    stages = [name for step in stage_order(job.kind, edges) for name in step]
    options: dict[str, Any] = {"stages": stages, "lane": lane, "next_dispatch_ms": now_ms() + HOUR}
    return await jobs.reprocess(job, Operation(renditions=edges), **options)


async def begun(stores: Stores, job: Job, *names: str) -> Job:
    revised = await reprocess(stores, job, *names)
    assert revised is not None
    return revised


def started(ledger: Ledger, stores: Stores, job: JobRecord, stage: str) -> Run:
    run = start_run(ledger, stores.blobs, job.id, stage)
    assert run is not None
    return run


def up_to(ledger: Ledger, stores: Stores, job: JobRecord, *stages: str) -> None:
    for stage in stages:
        assert started(ledger, stores, job, stage).complete()


class TestTheDocument:
    async def test_of_a_done_job_keeps_its_results_and_begins_a_revision(self, jobs: Jobs) -> None:
        job = await inserted(jobs, generation=3, version=7)

        revised = await begin(jobs, job, lane=Lane.BULK)

        found = await jobs.get(job.id)
        assert revised is not None
        assert (found.state, found.revision, found.lane) == (JobState.PROCESSING, 1, Lane.BULK)
        assert (found.version, found.generation, found.first_generation) == (8, 4, 4)
        assert (found.finished_ms, found.finalizations) == (None, 0)
        assert found.operation.renditions == EDGES
        assert list(found.stages) == [VALIDATE, NORMALIZE, *EDGES, FINALIZE]
        assert found.previous is not None
        assert (found.previous.operation, found.previous.stages) == (job.operation, job.stages)
        assert revised.model_dump() == found.model_dump()

    @pytest.mark.parametrize("state", [JobState.FAILED, JobState.DEAD])
    async def test_of_a_job_without_results_keeps_none(self, jobs: Jobs, state: JobState) -> None:
        job = await inserted(jobs, state=state, failure=REFUSAL)

        await begin(jobs, job)

        found = await jobs.get(job.id)
        assert (found.previous, found.failure, found.state) == (None, None, JobState.PROCESSING)

    @pytest.mark.parametrize("fields", [{"expiring_ms": 1}, {"blobs_removed_ms": 1}], ids=str)
    async def test_of_a_job_without_blobs_does_not_change(self, jobs: Jobs, fields: dict[str, int]) -> None:
        job = await inserted(jobs, **fields)

        assert await begin(jobs, job) is None
        assert (await jobs.get(job.id)).state is JobState.DONE

    async def test_changes_once_for_many_who_saw_the_same_job(self, jobs: Jobs) -> None:
        job = await inserted(jobs)

        found = await asyncio.gather(*(begin(jobs, job) for _ in range(8)))

        assert len([revised for revised in found if revised]) == 1
        assert (await jobs.get(job.id)).revision == 1

    async def test_of_a_job_that_is_reprocessed_does_not_expire_for_who_saw_it_before(self, jobs: Jobs) -> None:
        job = await inserted(jobs)
        await begin(jobs, job)

        assert not await jobs.mark_expiring(job)

    async def test_goes_back_when_the_sweeper_gives_the_job_up(self, jobs: Jobs) -> None:
        job = await inserted(jobs)
        revised = await begin(jobs, job)
        assert revised is not None

        assert await jobs.mark_dead(revised, EXHAUSTED)

        found = await jobs.get(job.id)
        assert (found.state, found.operation, found.stages) == (JobState.DONE, job.operation, job.stages)
        assert (found.previous, found.failure, found.reprocess_failure) == (None, None, EXHAUSTED)
        assert (found.revision, found.finalizations) == (1, 1)
        assert found.finished_ms
        assert found.finished_ms > (job.finished_ms or 0)


async def test_results_stay_until_the_last_stage_and_then_all_change(stores: Stores, ledger: Ledger) -> None:
    job = await insert_done(stores, ledger)
    revised = await begun(stores, job, "small", "card")

    for stage in revised.stages:
        assert read_results(stores.blobs, await stores.jobs.get(job.id)) == BEFORE
        up_to(ledger, stores, job, stage)

    found = await stores.jobs.get(job.id)
    assert read_results(stores.blobs, found) == expected_results(1, ("small", "card"))
    assert (found.state, found.previous, found.finalizations) == (JobState.DONE, None, 1)


async def test_replaced_results_stay_for_a_while_and_are_then_removed(
    stores: Stores, ledger: Ledger, settings: Settings
) -> None:
    job = await insert_done(stores, ledger)
    await begun(stores, job, "card")
    run_to_end(ledger, stores.blobs, job.id)
    late_reader = read_results(stores.blobs, job)

    await tidy(stores, settings, job.id)

    assert late_reader == BEFORE
    assert sorted(stores.blobs.list_all_names(job.id)) == ["card.1000001", "original"]


@pytest.mark.parametrize("ending", ["refuse", "mark_dead"])
async def test_a_job_whose_reprocessing_fails_has_its_results_back(
    stores: Stores, ledger: Ledger, settings: Settings, ending: str
) -> None:
    job = await insert_done(stores, ledger)
    names = stores.blobs.list_all_names(job.id)
    await begun(stores, job, "small", "card")
    up_to(ledger, stores, job, VALIDATE, NORMALIZE, "card")

    getattr(started(ledger, stores, job, "small"), ending)()

    found = await stores.jobs.get(job.id)
    assert read_results(stores.blobs, found) == BEFORE
    assert (found.state, found.failure, found.reprocess_failure) == (JobState.DONE, None, REFUSAL)
    assert (found.operation, found.stages, found.finalizations) == (job.operation, job.stages, 1)
    await tidy(stores, settings, job.id)
    assert sorted(stores.blobs.list_all_names(job.id)) == sorted(names)


async def test_after_a_failure_the_next_reprocessing_has_tokens_of_its_own(stores: Stores, ledger: Ledger) -> None:
    job = await insert_done(stores, ledger)
    await begun(stores, job, "card")
    late = started(ledger, stores, job, VALIDATE)
    started(ledger, stores, job, VALIDATE).refuse()

    await begun(stores, await stores.jobs.get(job.id), "card")
    same_stage = started(ledger, stores, job, VALIDATE)

    assert not late.complete()
    assert same_stage.complete()
    run_to_end(ledger, stores.blobs, job.id)
    found = await stores.jobs.get(job.id)
    assert read_results(stores.blobs, found) == expected_results(2, ("card",))
    assert found.reprocess_failure is None


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("stage", ["small", FINALIZE])
async def test_a_run_of_an_earlier_revision_changes_nothing(
    stores: Stores, ledger: Ledger, stage: str, ending: str
) -> None:
    job = new_job()
    await stores.jobs.insert(job)
    up_to(ledger, stores, job, VALIDATE, NORMALIZE)
    if stage == FINALIZE:
        up_to(ledger, stores, job, *RENDITIONS)
    late = started(ledger, stores, job, stage)
    run_to_end(ledger, stores.blobs, job.id)  # takes the stage over
    await begun(stores, await stores.jobs.get(job.id), *RENDITIONS)
    up_to(ledger, stores, job, VALIDATE, NORMALIZE, *RENDITIONS)
    running = started(ledger, stores, job, FINALIZE)
    before, names = await stores.jobs.get(job.id), set(stores.blobs.list_all_names(job.id))

    late.work()

    assert not getattr(late, ending)()
    assert await stores.jobs.get(job.id) == before
    assert names <= set(stores.blobs.list_all_names(job.id)) | {"normalize.1"}
    assert running.complete()


async def test_a_late_finalize_removes_no_result_of_a_later_revision(stores: Stores, ledger: Ledger) -> None:
    job = new_job()
    await stores.jobs.insert(job)
    up_to(ledger, stores, job, VALIDATE, NORMALIZE, *RENDITIONS)
    late = started(ledger, stores, job, FINALIZE)
    run_to_end(ledger, stores.blobs, job.id)
    await begun(stores, await stores.jobs.get(job.id), "card")
    run_to_end(ledger, stores.blobs, job.id)

    late.complete()

    found = await stores.jobs.get(job.id)
    assert read_results(stores.blobs, found) == expected_results(1, ("card",))


async def test_messages_of_an_earlier_revision_run_nothing_but_what_is_due(stores: Stores, ledger: Ledger) -> None:
    job = await insert_done(stores, ledger)
    await begun(stores, job, "card")

    late = [start_run(ledger, stores.blobs, job.id, stage) for stage in ("small", FINALIZE, NORMALIZE, VALIDATE)]

    assert [run is not None for run in late] == [False, False, False, True]  # this stage has to run in any case
    run_to_end(ledger, stores.blobs, job.id)
    found = await stores.jobs.get(job.id)
    assert read_results(stores.blobs, found) == expected_results(1, ("card",))


async def test_an_uncounted_attempt_of_an_earlier_revision_counts_in_no_later_one(
    stores: Stores, ledger: Ledger
) -> None:
    job = new_job()
    await stores.jobs.insert(job)
    late = ledger.claim(job.id, VALIDATE, message_id="late", worker="here", lease_ms=-1)
    assert late is not None
    run_to_end(ledger, stores.blobs, job.id)
    await begun(stores, await stores.jobs.get(job.id))

    ledger.uncount_attempt(late)

    claim = ledger.claim(job.id, VALIDATE, message_id="new", worker="here", lease_ms=-1)
    assert claim is not None
    assert claim.failed_attempts == 1


async def test_a_document_from_before_there_were_revisions_can_be_reprocessed(stores: Stores, ledger: Ledger) -> None:
    job = await insert_done(stores, ledger)
    added = ("revision", "previous", "reprocess_failure", "reprocessed_ms")
    await Job.get_motor_collection().update_one({"_id": job.id}, {"$unset": dict.fromkeys(added, "")})

    await begun(stores, await stores.jobs.get(job.id), "card")
    run_to_end(ledger, stores.blobs, job.id)

    found = await stores.jobs.get(job.id)
    assert (found.revision, read_results(stores.blobs, found)) == (1, expected_results(1, ("card",)))


async def test_new_results_are_served_that_a_worker_of_an_older_version_completed(
    stores: Stores, ledger: Ledger
) -> None:
    job = await insert_done(stores, ledger)
    revised = await begun(stores, job, "card")
    run_to_end(ledger, stores.blobs, job.id)
    assert revised.previous is not None
    kept = {"previous": revised.previous.model_dump(mode="json", by_alias=True)}
    await Job.get_motor_collection().update_one({"_id": job.id}, {"$set": kept})

    found = await stores.jobs.get(job.id)

    assert read_results(stores.blobs, found) == expected_results(1, ("card",))


async def test_results_are_kept_that_an_older_version_did_not_give_back(
    stores: Stores, ledger: Ledger, settings: Settings
) -> None:
    job = await begun(stores, await insert_done(stores, ledger), "card")
    ended = {"state": JobState.DEAD.value, "finished_ms": now_ms(), "failure": EXHAUSTED.model_dump()}
    await Job.get_motor_collection().update_one({"_id": job.id}, {"$set": ended})
    await tidy(stores, settings, job.id)

    again = await begun(stores, await stores.jobs.get(job.id), "zoom")

    assert read_results(stores.blobs, await stores.jobs.get(job.id)) == BEFORE
    assert started(ledger, stores, again, VALIDATE).refuse()
    assert read_results(stores.blobs, await stores.jobs.get(job.id)) == BEFORE


async def test_an_operation_is_done_again(stores: Stores, ledger: Ledger) -> None:
    job = await insert_done(stores, ledger, Kind.CROP)
    operation, stages = job.operation, list(job.stages)
    await stores.jobs.clear_outbox(job)
    await stores.jobs.reprocess(job, operation, stages=stages, lane=job.lane, next_dispatch_ms=now_ms())

    run_to_end(ledger, stores.blobs, job.id)

    found = await stores.jobs.get(job.id)
    assert {record.state for record in found.stages.values()} == {StageState.DONE}
    assert find_results(found)["output"]["blob"] == f"{job.id}/output.1000001"

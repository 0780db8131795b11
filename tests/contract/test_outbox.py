"""Events in the documents of jobs: each end records one, by the same update, and none is removed unseen."""

from __future__ import annotations

from typing import Any

import pytest

from storage.clock import now_ms
from storage.documents import Failure, Job, JobState, Kind, Operation, StageRecord, StageState
from storage.jobs import UNREADABLE_DELAY_MS, Jobs
from storage.ledger import Ledger
from storage.outbox import with_end_event
from storage.stores import Stores
from tests.support.fakes import new_job
from tests.support.revisions import insert_done, reprocess, run_to_end, start_run

FAILURE = Failure(stage="validate", code="image_corrupt", message="It is damaged.")
MINUTE = 60_000


async def insert_ended(jobs: Jobs, state: JobState = JobState.DONE, *, ms: int = 5, **fields: Any) -> Job:
    """Insert a job that has ended, with its event in the outbox, and return it."""
    job = new_job(state=state, finished_ms=ms, **fields)
    job = job.model_copy(update=with_end_event(job, now=ms))
    await jobs.insert(job)
    return job


async def events_of(jobs: Jobs, job_id: str) -> list[str]:
    """Return the ids of the events in the outbox of a job, without the job's own, in their order."""
    job = await jobs.get(job_id)
    assert (job.outbox_ms is None) == (not job.outbox)
    return sorted(event.key for event in job.outbox.values())


async def found_ids(jobs: Jobs) -> list[str]:
    return [outbox.job_id for outbox in await jobs.find_with_events(limit=10)]


async def test_a_job_that_is_cancelled_has_that_event(jobs: Jobs) -> None:
    await jobs.insert(job := new_job())

    await jobs.cancel(job)
    await jobs.cancel(job)

    assert await events_of(jobs, job.id) == ["0-1-cancelled"]


async def test_a_job_that_the_sweeper_gives_up_has_that_event(jobs: Jobs) -> None:
    await jobs.insert(job := new_job())

    await jobs.mark_dead(job, FAILURE)

    assert await events_of(jobs, job.id) == ["0-1-dead"]


async def test_each_life_of_a_job_ends_with_an_event_of_its_own(jobs: Jobs) -> None:
    await jobs.insert(job := new_job())
    await jobs.mark_dead(job, FAILURE)
    await jobs.clear_outbox(await jobs.get(job.id))

    retried = await jobs.retry(await jobs.get(job.id), next_dispatch_ms=now_ms())
    assert retried is not None
    await jobs.mark_dead(await jobs.get(job.id), FAILURE)

    assert await events_of(jobs, job.id) == ["1-1-dead"]


async def test_a_job_that_has_begun_another_life_is_not_cancelled_in_the_one_before(jobs: Jobs) -> None:
    await jobs.insert(job := new_job())
    await jobs.mark_dead(job, FAILURE)
    await jobs.clear_outbox(await jobs.get(job.id))
    await jobs.retry(await jobs.get(job.id), next_dispatch_ms=now_ms())

    assert not await jobs.cancel(job)
    assert await jobs.cancel(await jobs.get(job.id))

    assert await events_of(jobs, job.id) == ["1-1-cancelled"]


async def test_a_job_of_a_version_that_did_not_count_lives_is_cancelled(stores: Stores) -> None:
    await stores.jobs.insert(job := new_job())
    await Job.get_motor_collection().update_one({"_id": job.id}, {"$unset": {"first_generation": ""}})

    assert await stores.jobs.cancel(await stores.jobs.get(job.id))

    assert await events_of(stores.jobs, job.id) == ["0-1-cancelled"]


@pytest.mark.parametrize("end", ["refuse", "mark_dead"])
async def test_a_run_that_ends_its_job_records_the_event(stores: Stores, ledger: Ledger, end: str) -> None:
    await stores.jobs.insert(job := new_job())
    run = start_run(ledger, stores.blobs, job.id, "validate")
    assert run is not None

    assert getattr(run, end)()
    assert not getattr(run, end)()

    assert await events_of(stores.jobs, job.id) == [{"refuse": "0-1-failed", "mark_dead": "0-1-dead"}[end]]


async def test_a_job_that_is_done_has_one_event_and_its_renditions_have_none(stores: Stores, ledger: Ledger) -> None:
    job = await insert_done(stores, ledger)

    assert await events_of(stores.jobs, job.id) == ["0-1-done"]


async def test_renditions_are_events_of_a_job_that_announces_them(stores: Stores, ledger: Ledger) -> None:
    job = await insert_done(stores, ledger, announces_renditions=True)

    assert await events_of(stores.jobs, job.id) == ["0-0-large", "0-0-medium", "0-0-small", "0-1-done"]


async def test_a_reprocessing_that_fails_is_an_end_of_a_done_job(stores: Stores, ledger: Ledger) -> None:
    job = await insert_done(stores, ledger)
    assert await reprocess(stores, job)
    run = start_run(ledger, stores.blobs, job.id, "validate")
    assert run is not None

    assert run.refuse()

    assert await events_of(stores.jobs, job.id) == ["1-1-done"]


async def test_a_reprocessing_announces_renditions_if_it_is_told_to(stores: Stores, ledger: Ledger) -> None:
    job = await insert_done(stores, ledger)
    await stores.jobs.clear_outbox(job)
    stages = [name for name in job.stages if name not in {"medium", "large"}]
    changes: dict[str, Any] = {"lane": job.lane, "next_dispatch_ms": now_ms(), "announces_renditions": True}

    assert await stores.jobs.reprocess(job, Operation(renditions={"small": 160}), stages=stages, **changes)
    run_to_end(ledger, stores.blobs, job.id)

    assert await events_of(stores.jobs, job.id) == ["1-0-small", "1-1-done"]


async def test_results_that_expire_are_an_event_after_the_end(jobs: Jobs) -> None:
    job = await insert_ended(jobs)
    await jobs.mark_expiring(job)

    await jobs.mark_blobs_removed(job)
    await jobs.mark_blobs_removed(job)

    assert await events_of(jobs, job.id) == ["0-1-done", "0-2-expired"]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.DEAD, JobState.CANCELLED])
async def test_a_job_without_results_does_not_expire(jobs: Jobs, state: JobState) -> None:
    job = await insert_ended(jobs, state)
    await jobs.mark_expiring(job)

    await jobs.mark_blobs_removed(job)

    assert len(await events_of(jobs, job.id)) == 1


async def test_an_image_on_demand_has_no_events(jobs: Jobs) -> None:
    await jobs.insert(cancelled := new_job(Kind.IMAGE))
    await jobs.insert(expired := new_job(Kind.IMAGE, state=JobState.DONE, finished_ms=1))

    await jobs.cancel(cancelled)
    await jobs.mark_expiring(expired)
    await jobs.mark_blobs_removed(expired)

    assert (await events_of(jobs, cancelled.id), await events_of(jobs, expired.id)) == ([], [])
    assert await found_ids(jobs) == []


async def test_jobs_with_events_are_found_the_longest_waiting_first(jobs: Jobs) -> None:
    late = await insert_ended(jobs, ms=9)
    early = await insert_ended(jobs, ms=3, owner="ada")
    await jobs.insert(new_job(state=JobState.DONE, finished_ms=1))

    first, second = await jobs.find_with_events(limit=10)

    assert (first.job_id, first.owner, first.version, first.last_ms) == (early.id, "ada", early.version, 3)
    assert [event.event_id(first.job_id) for event in first.events] == [f"{early.id}-0-1-done"]
    assert (second.job_id, second.owner) == (late.id, None)
    assert [outbox.job_id for outbox in await jobs.find_with_events(limit=1)] == [early.id]


async def test_events_are_listed_in_the_order_in_which_they_happened(jobs: Jobs) -> None:
    large, medium, end = (
        {"type": kind, "ms": ms, "rendition": rendition}
        for kind, ms, rendition in (
            ("rendition.done", 7, "large"),
            ("rendition.done", 6, "medium"),
            ("job.done", 7, None),
        )
    )
    outbox = {"0-1-done": end, "0-0-large": large, "0-0-medium": medium}
    await jobs.insert(new_job(state=JobState.DONE, finished_ms=7, outbox=outbox, outbox_ms=7))

    [found] = await jobs.find_with_events(limit=10)

    assert [event.key for event in found.events] == ["0-0-medium", "0-0-large", "0-1-done"]


async def test_a_postponed_job_lets_others_go_first_and_comes_back_with_its_next_event(jobs: Jobs) -> None:
    job, other = await insert_ended(jobs), await insert_ended(jobs, ms=6)

    await jobs.postpone_events([job.id])
    assert await found_ids(jobs) == [other.id]
    await jobs.mark_expiring(job)
    await jobs.mark_blobs_removed(job)

    assert await found_ids(jobs) == [other.id, job.id]


async def test_events_of_a_clock_that_was_ahead_are_found(jobs: Jobs) -> None:
    job = await insert_ended(jobs, ms=now_ms() + 2 * UNREADABLE_DELAY_MS)

    assert await found_ids(jobs) == [job.id]


async def test_who_has_no_events_is_not_postponed(jobs: Jobs) -> None:
    await jobs.insert(job := new_job(state=JobState.DONE, finished_ms=1))

    await jobs.postpone_events([job.id])

    assert (await jobs.get(job.id)).outbox_ms is None


async def test_an_outbox_is_cleared_if_the_job_is_as_it_was_read(jobs: Jobs) -> None:
    job = await insert_ended(jobs)

    assert await jobs.clear_outbox(job)

    assert await events_of(jobs, job.id) == []
    assert (await jobs.get(job.id)).version == job.version


async def test_an_outbox_is_not_cleared_of_an_event_that_came_after_the_job_was_read(jobs: Jobs) -> None:
    job = await insert_ended(jobs)
    await jobs.mark_expiring(job)
    seen = await jobs.get(job.id)
    await jobs.mark_blobs_removed(seen)

    assert not await jobs.clear_outbox(seen)
    assert await jobs.clear_outboxes({seen.id: seen.version}) == 0

    assert await events_of(jobs, job.id) == ["0-1-done", "0-2-expired"]


async def test_outboxes_of_many_jobs_are_cleared_but_for_those_that_have_changed(jobs: Jobs) -> None:
    one, other = await insert_ended(jobs), await insert_ended(jobs)
    await jobs.mark_expiring(other)

    versions = {job.id: job.version for job in (one, other, new_job())}
    assert await jobs.clear_outboxes(versions) == 1
    assert await jobs.clear_outboxes({}) == 0

    assert (await events_of(jobs, one.id), await events_of(jobs, other.id)) == ([], ["0-1-done"])


@pytest.mark.parametrize("state", [JobState.DEAD, JobState.FAILED])
async def test_a_job_with_events_is_not_retried(jobs: Jobs, state: JobState) -> None:
    job = await insert_ended(jobs, state)

    assert await jobs.retry(job, next_dispatch_ms=1) is None
    await jobs.clear_outbox(job)
    assert await jobs.retry(job, next_dispatch_ms=1) is not None

    assert await events_of(jobs, job.id) == []


async def test_a_job_with_events_is_not_reprocessed(jobs: Jobs) -> None:
    job = await insert_ended(jobs)
    changes: dict[str, Any] = {"stages": list(job.stages), "lane": job.lane, "next_dispatch_ms": 1}

    assert await jobs.reprocess(job, job.operation, **changes) is None
    await jobs.clear_outbox(job)
    assert await jobs.reprocess(job, job.operation, **changes) is not None

    assert await events_of(jobs, job.id) == []


async def test_a_document_with_events_is_not_removed(jobs: Jobs) -> None:
    job = await insert_ended(jobs)

    assert not await jobs.remove(job.id)
    await jobs.clear_outbox(job)
    assert await jobs.remove(job.id)

    assert await jobs.find_missing([job.id]) == [job.id]


async def test_a_document_with_events_does_not_expire(jobs: Jobs) -> None:
    job = await insert_ended(jobs, blobs_removed_ms=1)

    assert await jobs.delete_expired(before_ms=2, limit=10) == 0
    await jobs.clear_outbox(job)
    assert await jobs.delete_expired(before_ms=2, limit=10) == 1


async def test_the_oldest_event_is_that_of_any_job_also_of_a_postponed_one(jobs: Jobs) -> None:
    assert await jobs.find_oldest_event_ms() is None
    job = await insert_ended(jobs, ms=5)
    await insert_ended(jobs, ms=9)

    await jobs.postpone_events([job.id])

    assert await jobs.find_oldest_event_ms() == 5


async def test_a_run_that_is_late_records_no_event(stores: Stores, ledger: Ledger) -> None:
    await stores.jobs.insert(job := new_job(announces_renditions=True, stages=_all_done_but("small")))
    run = start_run(ledger, stores.blobs, job.id, "small")
    assert run is not None
    await stores.jobs.cancel(await stores.jobs.get(job.id))

    assert not run.complete()
    assert not run.refuse()

    assert await events_of(stores.jobs, job.id) == ["0-1-cancelled"]


class TestADocumentThatCannotBeRead:
    @pytest.fixture
    async def unreadable(self, stores: Stores) -> Job:
        job = await insert_ended(stores.jobs, ms=1)
        newer: dict[str, Any] = {"outbox": {"0-1-done": {"type": "job.done", "ms": {"later": 1}}}}
        await Job.get_motor_collection().update_one({"_id": job.id}, {"$set": newer})
        return job

    async def test_is_postponed_and_lets_others_go_first(self, stores: Stores, unreadable: Job) -> None:
        job = await insert_ended(stores.jobs)

        found = [await stores.jobs.find_with_events(limit=1) for _ in range(2)]

        assert [[outbox.job_id for outbox in each] for each in found] == [[job.id], [job.id]]
        document = await Job.get_motor_collection().find_one({"_id": unreadable.id})
        assert document is not None
        assert document["outbox_ms"] > now_ms() + UNREADABLE_DELAY_MS - MINUTE
        assert document["outbox"]["0-1-done"]["ms"] == {"later": 1}

    async def test_keeps_its_events(self, stores: Stores, unreadable: Job) -> None:
        await Job.get_motor_collection().update_one({"_id": unreadable.id}, {"$set": {"blobs_removed_ms": 1}})

        assert not await stores.jobs.remove(unreadable.id)
        assert await stores.jobs.delete_expired(before_ms=2, limit=10) == 0


async def test_an_event_of_a_newer_version_is_read(stores: Stores) -> None:
    await insert_ended(stores.jobs)
    newer = {"type": "job.archived", "ms": 6, "life": 0, "place": "cellar"}
    await Job.get_motor_collection().update_one({}, {"$set": {"outbox.0-1-archived": newer}})

    [found] = await stores.jobs.find_with_events(limit=1)

    assert [event.type for event in found.events] == ["job.done", "job.archived"]


def _all_done_but(stage: str) -> dict[str, StageRecord]:
    done = StageRecord(state=StageState.DONE)
    return {name: done for name in ("validate", "normalize", "medium", "large") if name != stage}

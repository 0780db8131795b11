"""The worker's side of the job document, on Mongo's wire: who may claim a stage, and who may still write to it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from storage.clock import now_ms
from storage.documents import Failure, Job, JobRecord, JobState, StageRecord, StageState
from storage.jobs import Jobs
from storage.ledger import Claim, Ledger
from storage.stores import Stores, open_worker_stores
from tests.contract.conftest import PATIENCE_MS
from tests.support.fakes import new_job

LEASE_MS = 30_000
DONE = StageRecord(state=StageState.DONE)
ALL_BUT_LAST = dict.fromkeys(("validate", "normalize", "small", "medium", "large"), DONE)
ENDED = [JobState.DONE, JobState.FAILED, JobState.DEAD, JobState.CANCELLED]
FAILURE = Failure(stage="validate", code="image_corrupt", message="It is damaged.")


@pytest.fixture
def jobs(stores: Stores) -> Jobs:
    return stores.jobs


async def accepted(jobs: Jobs, **fields: Any) -> str:
    job = new_job(**fields)
    await jobs.insert(job)
    return job.id


def running(**fields: Any) -> StageRecord:
    """Return a stage that another message's run holds under a live lease."""
    held = {"state": StageState.RUNNING, "attempts": 1, "message_id": "theirs", "lease_ms": now_ms() + LEASE_MS}
    return StageRecord(**(held | fields))


def claim(ledger: Ledger, job_id: str, stage: str = "validate", *, message_id: str = "mine") -> Claim | None:
    return ledger.claim(job_id, stage, message_id=message_id, worker="here", lease_ms=LEASE_MS)


def claimed(ledger: Ledger, job_id: str, stage: str = "validate", *, message_id: str = "mine") -> Claim:
    found = claim(ledger, job_id, stage, message_id=message_id)
    assert found is not None
    return found


def found(ledger: Ledger, job_id: str) -> JobRecord:
    job = ledger.get(job_id)
    assert job is not None
    return job


async def test_a_lease_of_before_a_step_of_the_clock_has_ended(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages={"validate": running(lease_ms=now_ms() + 3_600_000)})

    assert claimed(ledger, job_id).attempt == 2


async def test_what_the_gateway_accepted_the_worker_reads(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    seen = JobRecord(**(await jobs.get(job_id)).model_dump(exclude={"revision_id"}))

    assert ledger.get(job_id) == seen


async def test_a_server_without_sessions_will_do(jobs: Jobs, mongo_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a member of a replica set that was none to read from when its connection was opened, as in a fail-over."""
    job_id = await accepted(jobs)
    monkeypatch.setattr("pymongo.hello.Hello.logical_session_timeout_minutes", None)

    with open_worker_stores(
        mongo_url=mongo_url, blob_url="memory:///", timeout_ms=5000, stall_timeout_ms=PATIENCE_MS
    ) as worker:
        worker.ledger.complete_stage(claimed(worker.ledger, job_id), {})

        assert found(worker.ledger, job_id).stages["validate"].state is StageState.DONE


def test_an_unknown_job_is_none(ledger: Ledger) -> None:
    assert ledger.get("nobody") is None


async def test_a_pending_stage_is_claimed(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    assert claim(ledger, job_id) is not None


async def test_a_stage_under_anothers_live_lease_is_not_claimed(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages={"validate": running()})

    assert claim(ledger, job_id) is None


async def test_a_stage_whose_lease_ran_out_is_claimed(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages={"validate": running(lease_ms=now_ms() - 1)})

    assert claim(ledger, job_id) is not None


async def test_a_stage_under_the_lease_of_the_same_message_is_claimed(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages={"validate": running(message_id="mine")})

    assert claim(ledger, job_id, message_id="mine") is not None


@pytest.mark.parametrize("state", [StageState.DONE, StageState.FAILED])
async def test_a_stage_that_ended_is_not_claimed(jobs: Jobs, ledger: Ledger, state: StageState) -> None:
    job_id = await accepted(jobs, stages={"validate": StageRecord(state=state, message_id="mine")})

    assert claim(ledger, job_id, message_id="mine") is None


@pytest.mark.parametrize("state", ENDED)
async def test_no_stage_of_a_job_that_ended_is_claimed(jobs: Jobs, ledger: Ledger, state: JobState) -> None:
    job_id = await accepted(jobs, state=state)

    assert claim(ledger, job_id) is None


async def test_a_stage_that_the_job_does_not_have_is_not_claimed(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    assert claim(ledger, job_id, "huge") is None


def test_a_stage_of_an_unknown_job_is_not_claimed(ledger: Ledger) -> None:
    assert claim(ledger, "nobody") is None


async def test_of_many_that_would_claim_a_stage_one_does(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    together = threading.Barrier(8)

    def race(number: int) -> Claim | None:
        together.wait()
        return claim(ledger, job_id, message_id=f"run {number}")

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(race, range(8)))

    assert len([each for each in claims if each is not None]) == 1


async def test_of_many_that_would_take_over_a_dead_run_one_does(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages={"validate": running(lease_ms=now_ms() - 1)})
    together = threading.Barrier(8)

    def race(number: int) -> Claim | None:
        together.wait()
        return claim(ledger, job_id, message_id=f"run {number}")

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(race, range(8)))

    assert len([each for each in claims if each is not None]) == 1


@pytest.mark.parametrize("lease_ms", [LEASE_MS, -1])  # the message is sent again before the lease has ended, or after
async def test_a_claim_that_was_not_answered_is_no_attempt(jobs: Jobs, ledger: Ledger, lease_ms: int) -> None:
    job_id = await accepted(jobs)
    ledger.claim(job_id, "validate", message_id="mine", worker="here", lease_ms=lease_ms)  # the answer is lost

    again = ledger.claim(job_id, "validate", message_id="mine", worker="here", lease_ms=LEASE_MS, is_retry=True)

    assert again
    assert (again.attempt, again.failed_attempts) == (2, 1)
    assert found(ledger, job_id) == again.job


async def test_a_retry_takes_no_run_of_another_message(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages={"validate": running()})

    assert ledger.claim(job_id, "validate", message_id="mine", worker="h", lease_ms=LEASE_MS, is_retry=True) is None


async def test_a_claim_sets_the_job_to_processing(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    claimed(ledger, job_id)

    assert found(ledger, job_id).state is JobState.PROCESSING


async def test_a_claim_says_who_runs_the_stage(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    claimed(ledger, job_id)

    record = found(ledger, job_id).stages["validate"]
    assert (record.state, record.message_id, record.worker) == (StageState.RUNNING, "mine", "here")


async def test_a_claim_holds_the_stage_for_its_lease(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    start = now_ms()

    claimed(ledger, job_id)

    lease = found(ledger, job_id).stages["validate"].lease_ms
    assert start + LEASE_MS <= lease <= now_ms() + LEASE_MS


async def test_a_claim_keeps_the_sweeper_away_until_after_the_lease(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    start = now_ms()

    claimed(ledger, job_id)

    due = found(ledger, job_id).next_dispatch_ms
    assert start + LEASE_MS + PATIENCE_MS <= due <= now_ms() + LEASE_MS + PATIENCE_MS


async def test_a_claim_returns_the_job_as_it_now_is(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    mine = claimed(ledger, job_id)

    assert mine.job == found(ledger, job_id)


async def test_a_claim_counts_its_attempt(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages={"validate": StageRecord(attempts=2)})

    assert claimed(ledger, job_id).attempt == 3


async def test_attempts_that_nobody_is_to_blame_for_are_not_counted_as_failed(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages={"validate": StageRecord(attempts=4, retries=3)})

    assert claimed(ledger, job_id).failed_attempts == 2


async def test_a_run_that_was_taken_over_alive_is_not_counted_as_failed(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    alive = claimed(ledger, job_id)
    claimed(ledger, job_id)

    ledger.uncount_attempt(alive)

    taken = claimed(ledger, job_id)
    assert (taken.attempt, taken.failed_attempts) == (3, 2)


async def test_a_run_that_holds_its_stage_is_counted(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    mine = claimed(ledger, job_id)

    ledger.uncount_attempt(mine)

    assert claimed(ledger, job_id).failed_attempts == 2


async def test_a_run_from_before_a_retry_is_not_taken_off_the_attempts_after_it(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    alive = claimed(ledger, job_id)
    ledger.mark_dead(claimed(ledger, job_id), FAILURE)
    await jobs.clear_outbox(await jobs.get(job_id))
    await jobs.retry(await jobs.get(job_id), next_dispatch_ms=now_ms())
    claimed(ledger, job_id)

    ledger.uncount_attempt(alive)

    assert claimed(ledger, job_id).failed_attempts == 2


@pytest.mark.parametrize("state", ENDED)
async def test_the_attempts_of_a_job_that_ended_stay(jobs: Jobs, ledger: Ledger, state: JobState) -> None:
    job_id = await accepted(jobs)
    alive = claimed(ledger, job_id)
    claimed(ledger, job_id)
    await Job.find_one({"_id": job_id}).update({"$set": {"state": state.value}})

    ledger.uncount_attempt(alive)

    assert found(ledger, job_id).stages["validate"].retries == 0


async def test_a_completed_stage_is_done(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    ledger.complete_stage(claimed(ledger, job_id), {})

    assert found(ledger, job_id).stages["validate"].state is StageState.DONE


async def test_a_completed_stage_keeps_its_result(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    ledger.complete_stage(claimed(ledger, job_id), {"width": 640, "frames": None, "nested": {"a": [1]}})

    assert found(ledger, job_id).stages["validate"].result == {"width": 640, "frames": None, "nested": {"a": [1]}}


async def test_a_completed_stage_has_no_lease(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    ledger.complete_stage(claimed(ledger, job_id), {})

    assert found(ledger, job_id).stages["validate"].lease_ms == 0


async def test_a_completed_stage_says_when(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    start = now_ms()

    ledger.complete_stage(claimed(ledger, job_id), {})

    assert start <= (found(ledger, job_id).stages["validate"].finished_ms or 0) <= now_ms()


async def test_a_completed_stage_forgets_its_last_error(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages={"validate": StageRecord(error="infrastructure_error")})

    ledger.complete_stage(claimed(ledger, job_id), {})

    assert found(ledger, job_id).stages["validate"].error is None


async def test_a_completed_stage_queues_what_follows_it(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    ledger.complete_stage(claimed(ledger, job_id), {}, due_stages=["small", "large"])

    queued = [name for name, record in found(ledger, job_id).stages.items() if record.queued_ms is not None]
    assert sorted(queued) == ["large", "small"]


async def test_a_completed_stage_gives_the_next_one_time_before_the_sweeper(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    start = now_ms()

    ledger.complete_stage(claimed(ledger, job_id), {})

    assert start + PATIENCE_MS <= found(ledger, job_id).next_dispatch_ms <= now_ms() + PATIENCE_MS


async def test_a_run_that_was_taken_over_completes_nothing(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    lost = claimed(ledger, job_id)
    claimed(ledger, job_id)

    assert not ledger.complete_stage(lost, {"from": "the lost run"})


async def test_a_run_that_was_taken_over_leaves_the_stage_to_the_other(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    lost = claimed(ledger, job_id)
    claimed(ledger, job_id)

    ledger.complete_stage(lost, {"from": "the lost run"})

    assert found(ledger, job_id).stages["validate"].state is StageState.RUNNING


async def test_the_run_that_took_over_completes_the_stage(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    claimed(ledger, job_id)

    assert ledger.complete_stage(claimed(ledger, job_id), {})


async def test_a_stage_is_completed_once(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    mine = claimed(ledger, job_id)
    ledger.complete_stage(mine, {})

    assert not ledger.complete_stage(mine, {})


@pytest.mark.parametrize("ending", ["release", "refuse", "mark_dead", "finish"])
async def test_a_run_that_was_taken_over_cannot_end_the_stage_otherwise(
    jobs: Jobs, ledger: Ledger, ending: str
) -> None:
    job_id = await accepted(jobs, stages=ALL_BUT_LAST)
    lost = claimed(ledger, job_id, "finalize")
    claimed(ledger, job_id, "finalize")
    before = found(ledger, job_id)

    _end(ledger, lost, ending)

    assert found(ledger, job_id) == before


async def test_a_released_stage_is_pending(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    ledger.release(claimed(ledger, job_id), "infrastructure_error", counts_as_attempt=False)

    assert found(ledger, job_id).stages["validate"].state is StageState.PENDING


async def test_a_released_stage_is_claimed_by_any_message(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    ledger.release(claimed(ledger, job_id, message_id="one"), "infrastructure_error", counts_as_attempt=False)

    assert claim(ledger, job_id, message_id="another") is not None


async def test_a_released_stage_says_why(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    ledger.release(claimed(ledger, job_id), "infrastructure_error", counts_as_attempt=False)

    assert found(ledger, job_id).stages["validate"].error == "infrastructure_error"


async def test_a_released_stage_waits_again(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages={"validate": StageRecord(queued_ms=1)})
    start = now_ms()

    ledger.release(claimed(ledger, job_id), "infrastructure_error", counts_as_attempt=False)

    assert start <= (found(ledger, job_id).stages["validate"].queued_ms or 0) <= now_ms()


@pytest.mark.parametrize(("counts_as_attempt", "failed"), [(False, 1), (True, 2)])
async def test_an_attempt_counts_as_failed_unless_nobody_is_to_blame(
    jobs: Jobs,
    ledger: Ledger,
    counts_as_attempt: bool,
    failed: int,
) -> None:
    job_id = await accepted(jobs)

    ledger.release(claimed(ledger, job_id), "why", counts_as_attempt=counts_as_attempt)

    assert claimed(ledger, job_id).failed_attempts == failed


async def test_a_fencing_token_grows_whoever_is_to_blame(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    ledger.release(claimed(ledger, job_id), "why", counts_as_attempt=False)

    assert claimed(ledger, job_id).attempt == 2


async def test_a_refused_job_has_failed(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    ledger.refuse(claimed(ledger, job_id), FAILURE)

    assert found(ledger, job_id).state is JobState.FAILED


async def test_a_buried_job_is_dead(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)

    ledger.mark_dead(claimed(ledger, job_id), FAILURE)

    assert found(ledger, job_id).state is JobState.DEAD


@pytest.mark.parametrize("ending", ["refuse", "mark_dead"])
async def test_a_job_given_up_says_why(jobs: Jobs, ledger: Ledger, ending: str) -> None:
    job_id = await accepted(jobs)

    _end(ledger, claimed(ledger, job_id), ending)

    assert found(ledger, job_id).failure == FAILURE


@pytest.mark.parametrize("ending", ["refuse", "mark_dead"])
async def test_a_job_given_up_says_when(jobs: Jobs, ledger: Ledger, ending: str) -> None:
    job_id = await accepted(jobs)
    start = now_ms()

    _end(ledger, claimed(ledger, job_id), ending)

    assert start <= (found(ledger, job_id).finished_ms or 0) <= now_ms()


@pytest.mark.parametrize("ending", ["refuse", "mark_dead"])
async def test_the_stage_that_gave_a_job_up_has_failed(jobs: Jobs, ledger: Ledger, ending: str) -> None:
    job_id = await accepted(jobs)

    _end(ledger, claimed(ledger, job_id), ending)

    record = found(ledger, job_id).stages["validate"]
    assert (record.state, record.error) == (StageState.FAILED, "image_corrupt")


async def test_a_finished_job_is_done(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages=ALL_BUT_LAST)

    ledger.complete_job(claimed(ledger, job_id, "finalize"), {})

    assert found(ledger, job_id).state is JobState.DONE


async def test_a_finished_job_keeps_what_the_last_stage_noted(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages=ALL_BUT_LAST)

    ledger.complete_job(claimed(ledger, job_id, "finalize"), {"ratio": 0.25})

    assert found(ledger, job_id).stages["finalize"].result == {"ratio": 0.25}


async def test_a_finished_job_says_when(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages=ALL_BUT_LAST)
    start = now_ms()

    ledger.complete_job(claimed(ledger, job_id, "finalize"), {})

    assert start <= (found(ledger, job_id).finished_ms or 0) <= now_ms()


@pytest.mark.parametrize("missing", list(ALL_BUT_LAST))
async def test_a_job_with_a_stage_to_do_is_not_finished(jobs: Jobs, ledger: Ledger, missing: str) -> None:
    job_id = await accepted(jobs, stages=ALL_BUT_LAST | {missing: StageRecord()})

    ledger.complete_job(claimed(ledger, job_id, "finalize"), {})

    assert found(ledger, job_id).state is JobState.PROCESSING


async def test_a_job_is_finished_once(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages=ALL_BUT_LAST)
    mine = claimed(ledger, job_id, "finalize")

    finished = [ledger.complete_job(mine, {}) for _ in range(2)]

    assert finished == [True, False]


async def test_finishing_a_job_is_counted_with_it(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, stages=ALL_BUT_LAST)
    mine = claimed(ledger, job_id, "finalize")

    for _ in range(2):
        ledger.complete_job(mine, {})

    assert found(ledger, job_id).finalizations == 1


@pytest.mark.parametrize("ending", ["complete", "release", "refuse", "mark_dead", "finish"])
@pytest.mark.parametrize("first", ["refuse", "mark_dead", "finish"])
async def test_nothing_moves_after_an_end(jobs: Jobs, ledger: Ledger, first: str, ending: str) -> None:
    job_id = await accepted(jobs, stages=ALL_BUT_LAST)
    mine = claimed(ledger, job_id, "finalize")
    _end(ledger, mine, first)
    before = found(ledger, job_id)

    _end(ledger, mine, ending)

    assert found(ledger, job_id) == before


async def test_a_stage_that_runs_on_while_its_job_is_refused_completes_nothing(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    slow = claimed(ledger, job_id, "large")
    ledger.refuse(claimed(ledger, job_id, "small"), FAILURE)

    assert not ledger.complete_stage(slow, {})


async def test_stages_side_by_side_complete_each_on_its_own(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    small, large = claimed(ledger, job_id, "small"), claimed(ledger, job_id, "large")

    completed = [ledger.complete_stage(large, {}), ledger.complete_stage(small, {})]

    assert completed == [True, True]


async def test_a_scheduled_job_is_due_after_its_delay(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs, next_dispatch_ms=now_ms() + 10 * LEASE_MS)
    start = now_ms()

    ledger.schedule_dispatch(job_id, delay_ms=500)

    assert start + 500 <= found(ledger, job_id).next_dispatch_ms <= now_ms() + 500


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_that_ended_is_not_scheduled(jobs: Jobs, ledger: Ledger, state: JobState) -> None:
    job_id = await accepted(jobs, state=state, next_dispatch_ms=42)

    ledger.schedule_dispatch(job_id, delay_ms=0)

    assert found(ledger, job_id).next_dispatch_ms == 42


def _end(ledger: Ledger, mine: Claim, ending: str) -> None:
    match ending:
        case "complete":
            ledger.complete_stage(mine, {"changed": True})
        case "finish":
            ledger.complete_job(mine, {"changed": True})
        case "release":
            ledger.release(mine, "changed", counts_as_attempt=True)
        case "refuse":
            ledger.refuse(mine, FAILURE)
        case "mark_dead":
            ledger.mark_dead(mine, FAILURE)
        case _:
            raise ValueError(ending)


async def test_every_step_of_a_stage_is_a_later_version_of_its_job(jobs: Jobs, ledger: Ledger) -> None:
    job_id = await accepted(jobs)
    seen = [found(ledger, job_id).version]

    run = claimed(ledger, job_id)
    seen.append(found(ledger, job_id).version)
    ledger.release(run, "the disk was full", counts_as_attempt=False)
    seen.append(found(ledger, job_id).version)
    run = claimed(ledger, job_id)
    ledger.complete_stage(run, {})
    seen.append(found(ledger, job_id).version)
    ledger.complete_stage(run, {})  # a second time: nothing changes
    ledger.schedule_dispatch(job_id, delay_ms=0)  # nor does this, to those who watch
    seen.append(found(ledger, job_id).version)

    assert seen == [0, 1, 2, 4, 4]

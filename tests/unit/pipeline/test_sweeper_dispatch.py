"""Which jobs the sweeper sends on, and which it leaves alone."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from pipeline.settings import Settings
from pipeline.sweeper import Sweeper
from storage.clock import now_ms
from storage.documents import Job, JobState, Kind, Operation, StageRecord, StageState
from tests.support.fakes import FakeBroker, FakeJobs, FakeQueues, FakeStores, new_job

SECOND = 1000
DONE = StageRecord(state=StageState.DONE)


async def accepted(jobs: FakeJobs, **fields: Any) -> Job:
    """Accept a job that was dispatched a while ago and is due now."""
    job = new_job(**{"dispatched_ms": now_ms() - 100 * SECOND, "next_dispatch_ms": now_ms() - 1} | fields)
    await jobs.insert(job)
    return job


def running(*, lease_seconds: float) -> StageRecord:
    """Return a stage under a lease that ends in so many seconds."""
    return StageRecord(state=StageState.RUNNING, attempts=1, lease_ms=now_ms() + int(lease_seconds * SECOND))


async def test_a_stalled_job_is_published_again(sweeper: Sweeper, jobs: FakeJobs, broker: FakeBroker) -> None:
    job = await accepted(jobs)

    await sweeper.dispatch_due()

    assert [message.headers["id"] for message in broker.take_messages()] == [f"{job.id}.1"]


async def test_a_dispatch_is_counted(sweeper: Sweeper, jobs: FakeJobs, broker: FakeBroker) -> None:  # noqa: ARG001
    job = await accepted(jobs)

    await sweeper.dispatch_due()

    assert (await jobs.get(job.id)).generation == 1


@pytest.mark.parametrize(("generation", "seconds"), [(0, 100), (1, 200)])
async def test_a_job_sent_again_has_the_backoff_of_that_dispatch_before_the_next(
    sweeper: Sweeper,
    jobs: FakeJobs,
    broker: FakeBroker,  # noqa: ARG001
    generation: int,
    seconds: int,
) -> None:
    job = await accepted(jobs, generation=generation)

    await sweeper.dispatch_due()

    assert (await jobs.get(job.id)).next_dispatch_ms == about(now_ms() + seconds * SECOND)


async def test_a_job_that_cannot_be_looked_at_holds_up_no_other(
    sweeper: Sweeper, jobs: FakeJobs, broker: FakeBroker
) -> None:
    await accepted(jobs, next_dispatch_ms=1, stages={"nonsense": StageRecord()})
    job = await accepted(jobs)

    await sweeper.dispatch_due()

    assert [message.headers["id"] for message in broker.take_messages()] == [f"{job.id}.1"]


async def test_a_job_that_is_not_due_is_left_alone(sweeper: Sweeper, jobs: FakeJobs, broker: FakeBroker) -> None:
    await accepted(jobs, next_dispatch_ms=now_ms() + 10 * SECOND)

    await sweeper.dispatch_due()

    assert broker.take_messages() == []


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.DEAD, JobState.CANCELLED])
async def test_a_job_that_ended_is_left_alone(
    sweeper: Sweeper, jobs: FakeJobs, broker: FakeBroker, state: JobState
) -> None:
    await accepted(jobs, state=state)

    await sweeper.dispatch_due()

    assert broker.take_messages() == []


async def test_a_round_sends_no_more_than_a_batch(
    sweeper: Sweeper, jobs: FakeJobs, broker: FakeBroker, settings: Settings
) -> None:
    for _ in range(settings.sweeper.batch + 1):
        await accepted(jobs)

    await sweeper.dispatch_due()

    assert len(broker.take_messages()) == settings.sweeper.batch


async def test_a_job_under_a_live_lease_is_not_published(sweeper: Sweeper, jobs: FakeJobs, broker: FakeBroker) -> None:
    await accepted(jobs, stages={"validate": running(lease_seconds=5)})

    await sweeper.dispatch_due()

    assert broker.take_messages() == []


async def test_a_job_under_a_live_lease_is_looked_at_again_later(sweeper: Sweeper, jobs: FakeJobs) -> None:
    job = await accepted(jobs, stages={"validate": running(lease_seconds=5)})

    await sweeper.dispatch_due()

    assert (await jobs.get(job.id)).next_dispatch_ms == about(now_ms() + 60 * SECOND)


async def test_a_job_of_before_a_step_of_the_clock_is_published(
    sweeper: Sweeper, jobs: FakeJobs, broker: FakeBroker, queues: FakeQueues
) -> None:
    job = await accepted(jobs, stages={"validate": running(lease_seconds=3600)}, dispatched_ms=now_ms() + 3600 * SECOND)
    queues.push("validate", now_ms())

    await sweeper.dispatch_due()

    assert [message.headers["id"] for message in broker.take_messages()] == [f"{job.id}.1"]


async def test_a_job_whose_lease_ran_out_is_published(sweeper: Sweeper, jobs: FakeJobs, broker: FakeBroker) -> None:
    job = await accepted(jobs, stages={"validate": running(lease_seconds=-1)})

    await sweeper.dispatch_due()

    assert [message.headers["id"] for message in broker.take_messages()] == [f"{job.id}.1"]


async def test_a_job_behind_older_messages_is_not_published(
    sweeper: Sweeper, jobs: FakeJobs, queues: FakeQueues, broker: FakeBroker
) -> None:
    job = await accepted(jobs)
    queues.push("validate", job.dispatched_ms - 1)

    await sweeper.dispatch_due()

    assert broker.take_messages() == []


async def test_a_job_behind_older_messages_is_looked_at_again_later(
    sweeper: Sweeper, jobs: FakeJobs, queues: FakeQueues
) -> None:
    job = await accepted(jobs)
    queues.push("validate", job.dispatched_ms - 1)

    await sweeper.dispatch_due()

    assert (await jobs.get(job.id)).next_dispatch_ms == about(now_ms() + 60 * SECOND)


async def test_a_job_that_its_queue_moved_past_is_published(
    sweeper: Sweeper, jobs: FakeJobs, queues: FakeQueues, broker: FakeBroker
) -> None:
    job = await accepted(jobs)
    queues.push("validate", job.dispatched_ms + 15 * SECOND + 1)

    await sweeper.dispatch_due()

    assert len(broker.take_messages()) == 1


async def test_a_job_with_a_stage_in_a_long_queue_is_not_published(
    sweeper: Sweeper, jobs: FakeJobs, queues: FakeQueues, broker: FakeBroker
) -> None:
    queued_ms = now_ms() - 50 * SECOND
    await accepted(jobs, stages={"validate": DONE, "normalize": DONE, "small": StageRecord(queued_ms=queued_ms)})
    queues.push("resize", queued_ms - 1)

    await sweeper.dispatch_due()

    assert broker.take_messages() == []


@pytest.mark.parametrize(("queue", "messages"), [("resize.bulk", 0), ("resize", 1)])
async def test_a_heavy_rendition_waits_in_the_bulk_lane_of_an_express_job(
    sweeper: Sweeper, jobs: FakeJobs, queues: FakeQueues, broker: FakeBroker, queue: str, messages: int
) -> None:
    queued_ms = now_ms() - 50 * SECOND
    stages = {"validate": DONE, "normalize": DONE, "card": StageRecord(queued_ms=queued_ms)}
    operation = Operation(renditions={"card": {"edge": 100, "formats": ["avif", "jpeg"]}})
    await accepted(jobs, renditions={"card": 1}, operation=operation, stages=stages)
    queues.push(queue, queued_ms - 1)

    await sweeper.dispatch_due()

    assert len(broker.take_messages()) == messages


async def test_a_job_sent_again_waits_for_the_queues_of_stages_that_are_done(
    sweeper: Sweeper, jobs: FakeJobs, queues: FakeQueues, broker: FakeBroker
) -> None:
    job = await accepted(jobs, generation=1, stages={"validate": DONE, "normalize": DONE})
    queues.push("validate", job.dispatched_ms - 1)

    await sweeper.dispatch_due()

    assert broker.take_messages() == []


async def test_a_queue_that_the_job_does_not_wait_in_holds_nothing_back(
    sweeper: Sweeper, jobs: FakeJobs, queues: FakeQueues, broker: FakeBroker
) -> None:
    job = await accepted(jobs)
    queues.push("transform", job.dispatched_ms - 1)

    await sweeper.dispatch_due()

    assert len(broker.take_messages()) == 1


@pytest.mark.parametrize("kind", [Kind.CROP, Kind.GRAYSCALE, Kind.RESIZE])
async def test_a_stalled_operation_is_published_again(
    sweeper: Sweeper, jobs: FakeJobs, broker: FakeBroker, kind: Kind
) -> None:
    job = await accepted(jobs, kind=kind)

    await sweeper.dispatch_due()

    assert [message.headers["id"] for message in broker.take_messages()] == [f"{job.id}.1"]


async def test_an_operation_behind_older_messages_is_not_published(
    sweeper: Sweeper, jobs: FakeJobs, queues: FakeQueues, broker: FakeBroker
) -> None:
    job = await accepted(jobs, kind=Kind.CROP, stages={"validate": DONE})
    queues.push("transform", job.dispatched_ms - 1)

    await sweeper.dispatch_due()

    assert broker.take_messages() == []


@pytest.mark.parametrize("queue", ["normalize", "resize"])
async def test_an_operation_does_not_wait_for_queues_that_are_not_on_its_way(
    sweeper: Sweeper, jobs: FakeJobs, queues: FakeQueues, broker: FakeBroker, queue: str
) -> None:
    job = await accepted(jobs, kind=Kind.CROP)
    queues.push(queue, job.dispatched_ms - 1)

    await sweeper.dispatch_due()

    assert len(broker.take_messages()) == 1


async def test_a_job_whose_dispatches_are_spent_is_dead(sweeper: Sweeper, jobs: FakeJobs) -> None:
    job = await accepted(jobs, generation=2)

    await sweeper.dispatch_due()

    assert (await jobs.get(job.id)).state is JobState.DEAD


async def test_a_dead_job_says_why(sweeper: Sweeper, jobs: FakeJobs) -> None:
    job = await accepted(jobs, generation=2)

    await sweeper.dispatch_due()

    failure = (await jobs.get(job.id)).failure
    assert failure is not None
    assert failure.code == "dispatches_exhausted"


async def test_who_wants_to_know_of_dead_jobs_is_called_for_each(
    stores: FakeStores, jobs: FakeJobs, queues: FakeQueues, settings: Settings
) -> None:
    calls: list[str] = []
    for _ in range(2):
        await accepted(jobs, generation=2)
    await accepted(jobs)

    await Sweeper(stores, queues, settings, on_end=lambda: calls.append("dead")).dispatch_due()

    assert calls == ["dead", "dead"]


async def test_a_dead_job_is_not_published(sweeper: Sweeper, jobs: FakeJobs, broker: FakeBroker) -> None:
    await accepted(jobs, generation=2)

    await sweeper.dispatch_due()

    assert broker.take_messages() == []


async def test_a_job_whose_dispatches_are_spent_is_not_dead_while_it_is_worked_on(
    sweeper: Sweeper, jobs: FakeJobs
) -> None:
    job = await accepted(jobs, generation=2, stages={"validate": running(lease_seconds=5)})

    await sweeper.dispatch_due()

    assert (await jobs.get(job.id)).is_active


@pytest.mark.usefixtures("no_broker")
async def test_a_dispatch_that_the_broker_refused_costs_no_generation(sweeper: Sweeper, jobs: FakeJobs) -> None:
    job = await accepted(jobs, generation=1)

    await sweeper.dispatch_due()

    assert (await jobs.get(job.id)).generation == 1


@pytest.mark.usefixtures("no_broker")
async def test_a_dispatch_that_the_broker_refused_is_tried_again_soon(sweeper: Sweeper, jobs: FakeJobs) -> None:
    job = await accepted(jobs)

    await sweeper.dispatch_due()

    assert (await jobs.get(job.id)).next_dispatch_ms == about(now_ms() + 15 * SECOND)


@pytest.mark.usefixtures("no_broker")
async def test_a_dispatch_that_the_broker_refused_does_not_count_as_one_whose_message_may_wait(
    sweeper: Sweeper, jobs: FakeJobs
) -> None:
    job = await accepted(jobs, dispatched_ms=now_ms() - 3600 * SECOND)

    await sweeper.dispatch_due()

    assert (await jobs.get(job.id)).dispatched_ms == job.dispatched_ms


@pytest.mark.parametrize("outage", ["down", "full"])
async def test_a_round_without_a_broker_leaves_every_job_as_it_was(
    sweeper: Sweeper, jobs: FakeJobs, queues: FakeQueues, outage: str
) -> None:
    jobs_before = [
        await accepted(jobs, stages={"validate": running(lease_seconds=5)}),
        await accepted(jobs),
        await accepted(jobs, generation=2),
    ]
    queues.is_down, queues.is_full = (outage == each for each in ("down", "full"))

    with suppress(RedisConnectionError, OutOfMemoryError):
        await sweeper.dispatch_due()

    assert [await jobs.get(job.id) for job in jobs_before] == jobs_before


def about(ms: int) -> Any:
    """Compare a moment with tolerance for the time that a test takes."""
    return pytest.approx(ms, abs=2 * SECOND)

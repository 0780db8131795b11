"""What the sweeper does while the disk with the blobs has no room for a master."""

from __future__ import annotations

import pytest

from pipeline.settings import Settings
from pipeline.sweeper import Sweeper
from storage.clock import now_ms
from storage.documents import StageRecord, StageState
from tests.support.fakes import FakeBroker, FakeJobs, FakeQueues, FakeStores, new_job
from tests.support.small_disks import DISK_BYTES, Disk


async def sweep(jobs: FakeJobs, settings: Settings, *, free: int, generation: int, done: tuple[str, ...] = ()) -> bool:
    """Have the sweeper look at one job that is due; return whether the job waits on."""
    due_ms, queues = now_ms() - 1, FakeQueues()
    stages = dict.fromkeys(done, StageRecord(state=StageState.DONE))
    job = new_job(generation=generation, next_dispatch_ms=due_ms, dispatched_ms=due_ms - 100_000, stages=stages)
    await jobs.insert(job)
    broker = FakeBroker()

    await Sweeper(FakeStores(jobs, Disk(free)), queues, settings).dispatch_due()

    found = await jobs.get(job.id)
    return found.is_active and found.next_dispatch_ms > due_ms and not broker.take_messages()


@pytest.mark.parametrize("generation", [0, 2])
async def test_a_job_waits_for_room_and_uses_up_no_redispatch(
    jobs: FakeJobs, settings: Settings, generation: int
) -> None:
    assert await sweep(jobs, settings, free=1, generation=generation)


@pytest.mark.parametrize(("free", "done"), [(1, ("normalize",)), (DISK_BYTES, ())])
async def test_a_job_that_has_its_master_or_room_for_it_is_sent_on(
    jobs: FakeJobs, settings: Settings, free: int, done: tuple[str, ...]
) -> None:
    assert not await sweep(jobs, settings, free=free, generation=0, done=done)

"""What the sweeper does while the disk with the blobs has no room for a master."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.blob_reserve import compute_reserve
from pipeline.routing import FETCH
from pipeline.settings import Settings
from pipeline.sweeper import Sweeper
from storage.clock import now_ms
from storage.documents import StageRecord, StageState
from tests.support.fakes import FakeBroker, FakeJobs, FakeQueues, FakeStores, new_job
from tests.support.small_disks import DISK_BYTES, Disk


async def sweep(
    jobs: FakeJobs,
    settings: Settings,
    *,
    free: int,
    generation: int,
    done: tuple[str, ...] = (),
    stages: Mapping[str, StageRecord] | None = None,
    **fields: Any,
) -> bool:
    """Have the sweeper look at one job that is due; return whether the job waits on."""
    due_ms, queues = now_ms() - 1, FakeQueues()
    records = dict.fromkeys(done, StageRecord(state=StageState.DONE)) | dict(stages or {})
    times: dict[str, Any] = {"next_dispatch_ms": due_ms, "dispatched_ms": due_ms - 100_000}
    job = new_job(generation=generation, stages=records, **times, **fields)
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


@pytest.mark.parametrize(("missing", "waits"), [(1, True), (0, False)])
async def test_a_job_waits_for_room_for_the_original_that_is_to_be_fetched(
    jobs: FakeJobs, settings: Settings, missing: int, waits: bool
) -> None:
    enough = compute_reserve(settings.blobs, DISK_BYTES) + settings.limits.upload_bytes

    assert await sweep(jobs, settings, free=enough - missing, generation=2, stages={FETCH: StageRecord()}) is waits


@pytest.mark.parametrize(("missing", "waits"), [(1, True), (0, False)])
async def test_an_original_may_be_as_large_as_when_its_job_was_accepted(
    jobs: FakeJobs, settings: Settings, missing: int, waits: bool
) -> None:
    upload_bytes = settings.limits.upload_bytes + 1000
    free = compute_reserve(settings.blobs, DISK_BYTES) + upload_bytes - missing
    options: dict[str, Any] = {"stages": {FETCH: StageRecord()}, "limits": {"upload_bytes": upload_bytes}}

    assert await sweep(jobs, settings, free=free, generation=2, **options) is waits

"""How the tidier's loop runs: beside the sweeper, in one gateway at a time, and on after errors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import pytest
from obstore.store import MemoryStore
from prometheus_client import CollectorRegistry

from pipeline.metrics import SweeperMetrics, TidierMetrics
from pipeline.settings import Settings
from pipeline.sweeper import Sweeper
from pipeline.tidying.context import CONCURRENCY
from pipeline.tidying.tidier import Tidier
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import JobRecord, JobState
from tests.support.fakes import FakeBroker, FakeJobs, FakeQueues, FakeStores, new_job

SECONDS = 10
LAST_RUN = "darkroom_tidier_last_run_timestamp_seconds"


class BlockedBlobs(Blobs):
    """Blobs of a store that answers no removal until it is released."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.waiting = asyncio.Semaphore(0)
        self.released = threading.Event()
        self._loop = asyncio.get_running_loop()

    def remove_folder(self, folder: str) -> None:
        self._loop.call_soon_threadsafe(self.waiting.release)
        self.released.wait()
        super().remove_folder(folder)


class NotingMetrics(SweeperMetrics):
    """Metrics that tell when a job was redispatched."""

    def __init__(self) -> None:
        super().__init__(CollectorRegistry())
        self.redispatched = asyncio.Event()

    def count_redispatch(self, job: JobRecord) -> None:
        super().count_redispatch(job)
        self.redispatched.set()


@pytest.fixture
async def blocked_blobs() -> AsyncIterator[BlockedBlobs]:
    blobs = BlockedBlobs(MemoryStore())
    yield blobs
    blobs.released.set()


@asynccontextmanager
async def running(*loops: Coroutine[None, None, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def expired(jobs: FakeJobs, blobs: Blobs) -> None:
    job = new_job(state=JobState.DONE, finished_ms=now_ms() - 2_000_000)
    await jobs.insert(job)
    blobs.put(job.original.blob, b"original")


async def test_a_job_is_rescued_while_the_store_lets_the_tidier_wait(
    jobs: FakeJobs, blocked_blobs: BlockedBlobs, queues: FakeQueues, settings: Settings, broker: FakeBroker
) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(CONCURRENCY))
    sweeper = settings.sweeper.model_copy(update={"batch": 2 * CONCURRENCY})
    stores, settings = FakeStores(jobs, blocked_blobs), settings.model_copy(update={"sweeper": sweeper})
    for _ in range(2 * CONCURRENCY):
        await expired(jobs, blocked_blobs)

    metrics = NotingMetrics()
    async with running(Tidier(stores, settings).run(), Sweeper(stores, queues, settings, metrics).run()):
        async with asyncio.timeout(SECONDS):
            for _ in range(CONCURRENCY):
                await blocked_blobs.waiting.acquire()
            await jobs.insert(new_job(next_dispatch_ms=now_ms() - 1))
            await metrics.redispatched.wait()
        blocked_blobs.released.set()

    assert len(broker.take_messages()) == 1


async def test_of_two_tidiers_one_works(jobs: FakeJobs, blobs: Blobs, stores: FakeStores, settings: Settings) -> None:
    first, second = Tidier(stores, settings), Tidier(stores, settings)
    await first.tidy()
    await expired(jobs, blobs)

    assert not await second.tidy()

    assert len(blobs.list_folders()) == 1
    await first.tidy()
    assert blobs.list_folders() == []


async def test_a_tidier_takes_over_when_the_lease_of_another_has_ended(
    jobs: FakeJobs, blobs: Blobs, stores: FakeStores, tidier: Tidier
) -> None:
    await stores.tidying.acquire("a gateway that was killed", lease_ms=-1)
    await expired(jobs, blobs)

    await tidier.tidy()

    assert blobs.list_folders() == []


async def test_two_tidiers_at_work_do_each_other_no_harm(
    jobs: FakeJobs, blobs: Blobs, settings: Settings, logs: list[dict[str, object]]
) -> None:
    for _ in range(10):
        await expired(jobs, blobs)
    both = [Tidier(FakeStores(jobs, blobs), settings) for _ in range(2)]  # with a lease each

    async with asyncio.timeout(SECONDS):
        while any(await asyncio.gather(*(tidier.tidy() for tidier in both))):
            pass

    assert blobs.list_folders() == []
    assert await jobs.find_with_blobs([JobState.DONE], before_ms=now_ms(), limit=1) == []
    assert [line for line in logs if line["log_level"] != "info"] == []


async def test_a_round_without_an_error_is_recorded(stores: FakeStores, settings: Settings) -> None:
    registry, start = CollectorRegistry(), now_ms()

    await Tidier(stores, settings, TidierMetrics(registry)).tidy()

    assert start <= round((registry.get_sample_value(LAST_RUN) or 0) * 1000) <= now_ms()


async def test_a_round_with_an_error_or_without_the_lease_is_not_recorded(jobs: FakeJobs, settings: Settings) -> None:
    class NoBlobs(Blobs):
        def read_folder_pages(self, *, after: str = "") -> Iterator[list[str]]:
            raise PermissionError(after)

    stores, registry = FakeStores(jobs, NoBlobs(MemoryStore())), CollectorRegistry()
    tidiers = [Tidier(stores, settings, TidierMetrics(registry)), Tidier(stores, settings)]

    for tidier in tidiers:
        await tidier.tidy()

    assert registry.get_sample_value(LAST_RUN) == 0

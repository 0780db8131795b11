"""What the gateway sees around it, over fakes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect
from structlog.typing import EventDict

from gateway.gauge_updater import GaugeUpdater
from gateway.lifespan import run_in_background
from pipeline.http_settings import BlobsSettings
from pipeline.queues.queues import RedisMemory
from pipeline.settings import MetricsSettings, Settings
from stages.limits import Limits
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import JobState
from storage.webhooks import Delivery, DisabledReason, WebhookEndpoint
from tests.support.announcing import new_ended_job
from tests.support.fakes import FakeJobs, FakeQueues, FakeStores, new_job, new_job_id

SECONDS = 10.0


class CountingStores(FakeStores):
    """Stores that count how often the clock was measured."""

    measured = 0

    async def measure_clock(self) -> None:
        object.__setattr__(self, "measured", self.measured + 1)


class CountingJobs(FakeJobs):
    """Jobs that count how often the outboxes were looked at."""

    looks = 0

    async def find_oldest_event_ms(self) -> int | None:
        self.looks += 1
        return await super().find_oldest_event_ms()


class BrokenJobs(FakeJobs):
    """Jobs whose code has a bug."""

    async def count_by_state(self) -> dict[JobState, int]:
        raise KeyError("state")


def new_delivery(endpoint_id: str, *, age_ms: int = 0) -> Delivery:
    """Return a pending delivery."""
    event_id = new_job_id()
    return Delivery(
        id=f"{event_id}.{endpoint_id}",
        endpoint_id=endpoint_id,
        event_id=event_id,
        type="job.done",
        task_id=event_id,
        order="0",
        payload="{}",
        created_ms=now_ms() - age_ms,
    )


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.open((tmp_path / "blobs").as_uri())


@pytest.fixture
def observer(registry: CollectorRegistry, stores: FakeStores, queues: FakeQueues, settings: Settings) -> GaugeUpdater:
    return GaugeUpdater(registry, stores, queues, settings)


def read(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"darkroom_{name}", labels)


async def test_jobs_are_told_by_state(observer: GaugeUpdater, jobs: FakeJobs, registry: CollectorRegistry) -> None:
    for state in (JobState.DONE, JobState.DONE, JobState.DEAD):
        await jobs.insert(new_job(state=state))

    await observer.update_gauges()

    assert [read(registry, "jobs", state=state) for state in ("done", "dead", "failed")] == [2, 1, 0]


async def test_the_oldest_event_that_is_not_handed_over_has_its_age(
    observer: GaugeUpdater, jobs: FakeJobs, registry: CollectorRegistry
) -> None:
    await observer.update_gauges()
    assert read(registry, "outbox_oldest_age_seconds") == 0
    for minutes in (1, 60):
        await jobs.insert(new_ended_job(ms=now_ms() - minutes * 60_000))

    await observer.update_gauges()

    assert 3600 <= (read(registry, "outbox_oldest_age_seconds") or 0) < 7200


async def test_unreadable_documents_are_counted(
    observer: GaugeUpdater, jobs: FakeJobs, registry: CollectorRegistry
) -> None:
    jobs.unreadable = 2

    await observer.update_gauges()

    assert read(registry, "unreadable_documents") == 2


async def test_the_oldest_job_under_way_has_its_age(
    observer: GaugeUpdater, jobs: FakeJobs, registry: CollectorRegistry
) -> None:
    await jobs.insert(new_job(id=new_job_id(at_ms=now_ms() - 90_000), state=JobState.PROCESSING))

    await observer.update_gauges()

    assert 90 <= (read(registry, "job_oldest_age_seconds", state="processing") or 0) < 120
    assert read(registry, "job_oldest_age_seconds", state="accepted") == 0


async def test_queues_are_told_by_length_and_age(
    observer: GaugeUpdater, queues: FakeQueues, registry: CollectorRegistry
) -> None:
    queues.push("resize", now_ms() - 30_000)
    queues.push("resize", now_ms())

    await observer.update_gauges()

    assert read(registry, "queue_length", queue="resize") == 2
    assert 30 <= (read(registry, "queue_oldest_age_seconds", queue="resize") or 0) < 60
    assert read(registry, "queue_oldest_age_seconds", queue="validate") == 0


async def test_an_age_falls_back_to_zero_with_the_last_message(
    observer: GaugeUpdater, queues: FakeQueues, registry: CollectorRegistry
) -> None:
    queues.push("resize", now_ms() - 30_000)
    await observer.update_gauges()
    queues.sent_ms.clear()

    await observer.update_gauges()

    assert read(registry, "queue_oldest_age_seconds", queue="resize") == 0


async def test_a_broker_that_is_away_is_down_and_the_rest_is_still_seen(
    observer: GaugeUpdater, queues: FakeQueues, jobs: FakeJobs, registry: CollectorRegistry
) -> None:
    queues.is_down = True
    await jobs.insert(new_job())

    await observer.update_gauges()

    up = {name: read(registry, "dependency_up", dependency=name) for name in ("redis", "mongo", "blobs")}
    assert up == {"redis": 0, "mongo": 1, "blobs": 1}
    assert read(registry, "jobs", state="accepted") == 1


async def test_a_full_broker_is_down_and_its_memory_and_queues_are_still_seen(
    observer: GaugeUpdater, queues: FakeQueues, registry: CollectorRegistry
) -> None:
    queues.is_full, queues.memory = True, RedisMemory(used_bytes=1001, max_bytes=1000)
    queues.push("resize", now_ms())

    await observer.update_gauges()

    assert read(registry, "dependency_up", dependency="redis") == 0
    assert [read(registry, f"redis_memory_{name}_bytes") for name in ("used", "max")] == [1001, 1000]
    assert read(registry, "queue_length", queue="resize") == 1


async def test_a_database_that_is_away_is_down(
    registry: CollectorRegistry, jobs: FakeJobs, blobs: Blobs, queues: FakeQueues, settings: Settings
) -> None:
    stores = FakeStores(jobs, blobs, ping_error=AutoReconnect("10.0.0.7 is away"))

    await GaugeUpdater(registry, stores, queues, settings).update_gauges()

    assert read(registry, "dependency_up", dependency="mongo") == 0
    assert (read(registry, "dependency_check_seconds", dependency="mongo") or 0) >= 0


async def test_the_disk_of_a_local_folder_is_told(observer: GaugeUpdater, registry: CollectorRegistry) -> None:
    await observer.update_gauges()

    free, size = read(registry, "blob_store_free_bytes"), read(registry, "blob_store_size_bytes")
    assert 0 < (free or 0) <= (size or 0)


async def test_the_free_space_below_which_uploads_are_refused_is_told(
    registry: CollectorRegistry, stores: FakeStores, queues: FakeQueues
) -> None:
    settings = Settings(blobs=BlobsSettings(reserve_bytes=1000), limits=Limits(upload_bytes=50))

    await GaugeUpdater(registry, stores, queues, settings).update_gauges()

    assert read(registry, "blob_store_reserve_bytes") == 1050


async def test_a_store_that_is_no_folder_has_no_disk(
    registry: CollectorRegistry, jobs: FakeJobs, queues: FakeQueues, settings: Settings
) -> None:
    stores = FakeStores(jobs, Blobs.open("memory:///"))

    await GaugeUpdater(registry, stores, queues, settings).update_gauges()

    assert read(registry, "blob_store_free_bytes") is None


async def test_pending_deliveries_and_disabled_webhooks_are_told(
    observer: GaugeUpdater, stores: FakeStores, registry: CollectorRegistry
) -> None:
    await stores.webhooks.insert(WebhookEndpoint(id="one", url="https://shop.example/hook"))
    await stores.webhooks.insert(WebhookEndpoint(id="two", url="https://x.example", disabled=DisabledReason.GONE))
    await stores.deliveries.insert_new([new_delivery("one", age_ms=90_000), new_delivery("one"), new_delivery("two")])

    await observer.update_gauges()

    assert read(registry, "webhook_deliveries_pending") == 2
    assert 90 <= (read(registry, "webhook_oldest_pending_age_seconds") or 0) < 120
    disabled = {reason: read(registry, "webhook_endpoints_disabled", reason=reason) for reason in DisabledReason}
    assert disabled == {DisabledReason.GONE: 1, DisabledReason.FAILING: 0, DisabledReason.OWNER: 0}


async def test_without_webhooks_nothing_is_pending(observer: GaugeUpdater, registry: CollectorRegistry) -> None:
    await observer.update_gauges()

    assert read(registry, "webhook_deliveries_pending") == 0
    assert read(registry, "webhook_oldest_pending_age_seconds") == 0


async def test_deliveries_are_counted_rarely(
    observer: GaugeUpdater, stores: FakeStores, registry: CollectorRegistry
) -> None:
    await observer.update_gauges()
    await stores.webhooks.insert(WebhookEndpoint(id="one", url="https://shop.example/hook"))
    await stores.deliveries.insert_new([new_delivery("one")])

    await observer.update_gauges()

    assert read(registry, "webhook_deliveries_pending") == 0


async def test_a_bug_in_one_look_is_logged_and_ends_no_other(
    registry: CollectorRegistry, blobs: Blobs, queues: FakeQueues, settings: Settings, logs: list[EventDict]
) -> None:
    queues.push("finalize", now_ms())

    await GaugeUpdater(registry, FakeStores(BrokenJobs(), blobs), queues, settings).update_gauges()

    assert [line["event"] for line in logs] == ["gauges.failed"]
    assert read(registry, "queue_length", queue="finalize") == 1


@pytest.mark.parametrize("is_read", [True, False])
async def test_gauges_that_nobody_reads_are_updated_rarely(
    registry: CollectorRegistry, blobs: Blobs, queues: FakeQueues, settings: Settings, *, is_read: bool
) -> None:
    often = settings.model_copy(update={"metrics": MetricsSettings(look_interval=0.001)})
    stores = CountingStores(jobs := CountingJobs(), blobs)

    async with run_in_background(GaugeUpdater(registry, stores, queues, often, is_read=lambda: is_read).run()):
        async with asyncio.timeout(SECONDS):
            while stores.measured < 5:  # noqa: ASYNC110  # stores have no event
                await asyncio.sleep(0.001)

    assert (jobs.looks > 1) is is_read

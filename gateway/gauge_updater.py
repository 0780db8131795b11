"""Gauges of the system around the gateway, updated periodically: a scrape reads the last values and never waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

import structlog
from prometheus_client import CollectorRegistry, Gauge

from gateway.idle_memory import IdleMemory
from gateway.routes.health import check_dependencies
from gateway.webhooks.gauges import WebhookGauges
from pipeline.blob_reserve import compute_reserve
from pipeline.broker.transport import BROKER_ERRORS
from pipeline.metrics import NAMESPACE, ClockMetrics
from pipeline.queues.queues import Queues
from pipeline.settings import Settings
from storage.clock import DATABASE_CLOCK, now_ms
from storage.documents import ACTIVE_STATES
from storage.errors import TRANSIENT_ERRORS
from storage.stores import Stores

UNREAD_SECONDS = 30.0
"""How often gauges are updated that nobody reads, if that is less often than `metrics.look_interval`."""

log = structlog.get_logger("gateway")


class GaugeUpdater:
    """Gauges of queues, jobs and dependencies, updated by one loop per gateway.

    While a dependency is down, its gauges keep their last values and `dependency_up` is 0.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        stores: Stores,
        queues: Queues,
        settings: Settings,
        *,
        is_read: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_read` says whether somebody reads the metrics."""

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, namespace=NAMESPACE, registry=registry)

        self._stores, self._queues, self._settings = stores, queues, settings
        self._is_read, self._count_due = is_read, 0.0
        self._memory = IdleMemory()
        self._jobs = gauge("jobs", "Job documents by state.", "state")
        self._oldest_job = gauge(
            "job_oldest_age_seconds", "Age of the oldest active job by state; 0 without one.", "state"
        )
        self._unreadable = gauge(
            "unreadable_documents", "Job documents that this version cannot read, of those that it has come across."
        )
        self._oldest_event = gauge(
            "outbox_oldest_age_seconds", "Age of the oldest event that is not handed over to webhooks; 0 without one."
        )
        self._lengths = gauge("queue_length", "Messages that wait in both lanes of a queue.", "queue")
        self._oldest = gauge(
            "queue_oldest_age_seconds", "Age of the oldest waiting message of a queue; 0 without one.", "queue"
        )
        if queues.shows_unacked:
            self._unacked = gauge("unacked_messages", "Unacknowledged messages, held by workers.")
            self._unacked_age = gauge(
                "unacked_oldest_age_seconds",
                "Time since the oldest unacknowledged message was delivered; 0 without one.",
            )
        self._redis_used = gauge("redis_memory_used_bytes", "Memory that Redis uses.")
        self._redis_max = gauge(
            "redis_memory_max_bytes", "Memory that Redis may use; 0 without a limit, and where it must not be asked."
        )
        self._up = gauge("dependency_up", "1 if a dependency answers, else 0.", "dependency")
        self._check = gauge("dependency_check_seconds", "Duration of the last check of a dependency.", "dependency")
        self._clock = ClockMetrics(registry)
        self._webhooks = WebhookGauges(registry, stores, interval=settings.metrics.count_interval)
        if stores.blobs.is_local:
            self._free = gauge("blob_store_free_bytes", "Free space of the disk with the blobs.")
            self._size = gauge("blob_store_size_bytes", "Total space of the disk with the blobs.")
            self._reserve = gauge(
                "blob_store_reserve_bytes", "Free space of that disk below which uploads are refused; 0: never."
            )

    async def run(self) -> None:
        """Update the gauges until cancelled, rarely while nobody reads them; look whether the gateway is idle."""
        while True:
            await self.update_gauges()
            updated = monotonic()
            await self._rest()
            while monotonic() < updated + UNREAD_SECONDS and not self._is_read():
                await _run_and_log_errors(self._measure_clock)
                await self._rest()

    async def _rest(self) -> None:
        await self._memory.return_when_idle()
        await asyncio.sleep(self._settings.metrics.look_interval)

    async def update_gauges(self) -> None:
        """Update all gauges once."""
        await asyncio.gather(
            _run_and_log_errors(self._update_dependency_gauges),
            _run_and_log_errors(self._measure_clock),
            _run_and_log_errors(self._update_queue_gauges),
            _run_and_log_errors(self._update_redis_gauges),
            _run_and_log_errors(self._update_job_gauges),
            _run_and_log_errors(self._webhooks.update),
            _run_and_log_errors(self._update_blob_store_gauges),
        )

    async def _update_dependency_gauges(self) -> None:
        for name, check in (await check_dependencies(self._settings, self._stores, self._queues)).items():
            self._up.labels(name).set(check.ok)
            self._check.labels(name).set(check.ms / 1000)

    async def _measure_clock(self) -> None:
        await self._stores.measure_clock()
        self._clock.observe_skew(DATABASE_CLOCK.skew_seconds)

    async def _update_queue_gauges(self) -> None:
        backlog = await self._queues.read_backlog()
        for queue, length in backlog.lengths.items():
            sent_ms = backlog.oldest_ms[queue]
            self._lengths.labels(queue).set(length)
            self._oldest.labels(queue).set(0 if sent_ms is None else _age_seconds(sent_ms))
        if self._queues.shows_unacked:
            self._unacked.set(backlog.unacked)
            self._unacked_age.set(backlog.unacked_age_seconds)

    async def _update_redis_gauges(self) -> None:
        memory = await self._queues.read_redis_memory()
        self._redis_used.set(memory.used_bytes)
        self._redis_max.set(memory.max_bytes)

    async def _update_job_gauges(self) -> None:
        for state in ACTIVE_STATES:
            job = await self._stores.jobs.find_oldest(state)
            self._oldest_job.labels(state).set(0 if job is None else _age_seconds(job.upload_started_ms))
        event_ms = await self._stores.jobs.find_oldest_event_ms()
        self._oldest_event.set(0 if event_ms is None else _age_seconds(event_ms))
        if monotonic() >= self._count_due:  # rarely: counting reads an entry of every job
            self._count_due = monotonic() + self._settings.metrics.count_interval
            for state, count in (await self._stores.jobs.count_by_state()).items():
                self._jobs.labels(state).set(count)
            self._unreadable.set(await self._stores.jobs.count_unreadable())

    async def _update_blob_store_gauges(self) -> None:
        if self._stores.blobs.is_local:
            free, size = await asyncio.to_thread(self._stores.blobs.read_disk_space)
            self._free.set(free)
            self._size.set(size)
            reserve = compute_reserve(self._settings.blobs, size)
            self._reserve.set(reserve and reserve + self._settings.limits.upload_bytes)


def _age_seconds(since_ms: int) -> float:
    """Return how long ago a time (epoch ms) was, in seconds."""
    return max(0, now_ms() - since_ms) / 1000


async def _run_and_log_errors(update: Callable[[], Awaitable[None]]) -> None:
    """Run one update. No error ends the loop: the gauges already show an outage, any other error is logged."""
    try:
        await update()
    except (*TRANSIENT_ERRORS, *BROKER_ERRORS):
        pass
    except Exception:
        log.exception("gauges.failed", step=update.__name__)

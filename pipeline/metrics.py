"""Metrics of clocks, messages, stages, job ends, the sweeper and the tidier, and the labels that they use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from time import monotonic

import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from obstore.exceptions import BaseError as BlobStoreError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from pipeline.lanes import lane_of_stage
from pipeline.routing import FETCH, FINALIZE
from pipeline.stage_failures import MasterLost
from pipeline.stage_order import queue_of_stage
from pipeline.version import VERSION
from pipeline.webhooks.metrics import WebhookMetrics
from stages.errors import TemporaryError
from storage.clock import now_ms
from storage.documents import JobRecord, JobState, Kind, Lane, StageState

NAMESPACE = "darkroom"
OUTCOMES = ("done", "refused", "retried", "skipped", "ignored", "fenced", "dead", "out_of_order", "unreadable")
REASONS = ("mongo", "redis", "blobs", "other_host", "time_limit", "bug")
REDISPATCH_REASONS = ("unclaimed", "stalled")
RUN_SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WAIT_SECONDS_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
JOB_SECONDS_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
SKEW_LIMIT_SECONDS = 5
"""A larger skew is logged; the alert `ClockSkewed` has the same limit."""

log = structlog.get_logger("metrics")


def register_build_info(registry: CollectorRegistry) -> None:
    """Export the running version as a label."""
    gauge = Gauge("build_info", "1, labelled with the version.", ["version"], namespace=NAMESPACE, registry=registry)
    gauge.labels(VERSION).set(1)


class ClockMetrics:
    """The skew of this process's wall clock; the processes of a worker have the same, so the last measured counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._skew = Gauge(
            "clock_skew_seconds",
            "Wall clock of this process minus the database's clock.",
            namespace=NAMESPACE,
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._is_skewed = False

    def observe_skew(self, skew_seconds: float) -> None:
        """Export the skew; log it when it has become too large."""
        self._skew.set(skew_seconds)
        was_skewed, self._is_skewed = self._is_skewed, abs(skew_seconds) > SKEW_LIMIT_SECONDS
        if self._is_skewed and not was_skewed:
            log.warning("clock.skewed", skew_seconds=round(skew_seconds, 1))


class UnreadableMessageMetrics:
    """Messages that this version cannot read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "unreadable_messages",
            "Messages that cannot be read: dropped by a worker, or seen by the gateway as the next one of a queue.",
            namespace=NAMESPACE,
            registry=registry,
        )

    def count(self) -> None:
        """Count one message."""
        self._count.inc()


class JobEndMetrics:
    """Time from the upload, the fetch or the reprocessing to the end of a job, whoever ends it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "job_end_to_end_seconds",
            "Seconds from the start of an upload or of a reprocessing, or the end of a fetch, to the end of the job.",
            ["kind", "result", "lane"],
            namespace=NAMESPACE,
            buckets=JOB_SECONDS_BUCKETS,
            registry=registry,
        )

    def create_series(self, *results: JobState) -> None:
        """Create the series of these results with zeros: `rate` misses the first event of a series that is new."""
        for kind in Kind:
            for result in results:
                for lane in Lane:
                    self._seconds.labels(kind, result, lane)

    def observe_end(self, job: JobRecord, result: JobState) -> None:
        """Observe the duration of a job that has just ended."""
        self._seconds.labels(job.kind, result, job.lane).observe(max(0, now_ms() - _has_original_ms(job)) / 1000)


def _has_original_ms(job: JobRecord) -> int:
    """Return the start of a job, without what another server took to send its original."""
    fetch = job.stages.get(FETCH)
    if fetch is None or fetch.state is not StageState.DONE:
        return job.started_ms
    return max(job.started_ms, fetch.finished_ms or 0)


class StageMetrics:
    """Metrics of the stages that a worker runs. Label values come from fixed sets, never from user input."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace=NAMESPACE, registry=registry)

        self._runs = counter("stage_runs", "Stage runs by outcome.", "stage", "outcome")
        self._retries = counter("stage_retries", "Stage runs that will be retried, by reason.", "stage", "reason")
        self._redeliveries = counter("redeliveries", "Messages delivered again by the broker.", "stage")
        self._renditions = counter("renditions", "Files of renditions written.", "rendition", "format")
        self._rendition_bytes = counter("rendition_bytes", "Bytes of the files written.", "rendition", "format")
        self._fetched_bytes = counter("fetched_bytes", "Bytes of originals that were fetched from other hosts.")
        self._seconds = Histogram(
            "stage_duration_seconds",
            "Seconds from the claim of a stage to its recorded outcome, including reads and writes of blobs.",
            ["stage"],
            namespace=NAMESPACE,
            buckets=RUN_SECONDS_BUCKETS,
            registry=registry,
        )
        self._waits = Histogram(
            "stage_queue_wait_seconds",
            "Seconds from the time a stage was due to its claim.",
            ["queue", "lane"],
            namespace=NAMESPACE,
            buckets=WAIT_SECONDS_BUCKETS,
            registry=registry,
        )
        self.job_ends = JobEndMetrics(registry)
        self.clock = ClockMetrics(registry)
        self._registry = registry
        self._outcome_series = cache(self._runs.labels)  # each message needs the same few, and `labels` takes a lock
        self._seconds_series, self._waits_series = cache(self._seconds.labels), cache(self._waits.labels)

    @cached_property
    def webhooks(self) -> WebhookMetrics:
        """The metrics of deliveries, which exist from the first use: most workers send none."""
        return WebhookMetrics(self._registry, namespace=NAMESPACE)

    def create_series(self, stages: Iterable[str]) -> None:
        """Create the series of these stages with zeros."""
        for stage in stages:
            for outcome in OUTCOMES:
                self._runs.labels(stage, outcome)
            for reason in REASONS:
                self._retries.labels(stage, reason)
            self._redeliveries.labels(stage)
            self._seconds.labels(stage)
            for lane in Lane:
                self._waits.labels(queue_of_stage(stage), lane)
            self.job_ends.create_series(JobState.DONE if stage == FINALIZE else JobState.FAILED, JobState.DEAD)

    @contextmanager
    def time_run(self, stage: str) -> Iterator[None]:
        """Measure the duration of a stage run, also of one that fails."""
        start = monotonic()
        try:
            yield
        finally:
            self._seconds_series(stage).observe(monotonic() - start)

    def observe_queue_wait(self, job: JobRecord, stage: str) -> None:
        """Observe the queue wait of a claimed stage; skip it after a failed or lost run, whose time is not a wait."""
        record = job.stages[stage]
        if record.attempts - record.retries == 1 and record.queued_ms and record.started_ms:
            wait_ms = record.started_ms - record.queued_ms
            self._waits_series(queue_of_stage(stage), lane_of_stage(job, stage)).observe(max(0, wait_ms) / 1000)

    def count_redelivery(self, stage: str) -> None:
        """Count a message that the broker delivered again."""
        self._redeliveries.labels(stage).inc()

    def count_outcome(self, stage: str, outcome: str) -> None:
        """Count the outcome of one stage run, one of OUTCOMES."""
        self._outcome_series(stage, outcome).inc()

    def count_retry(self, stage: str, error: Exception) -> None:
        """Count a stage run that will be retried."""
        self._retries.labels(stage, retry_reason(error)).inc()

    def count_rendition(self, rendition: str, image_format: str, size: int) -> None:
        """Count a file of a rendition, of `size` bytes."""
        self._renditions.labels(rendition, image_format).inc()
        self._rendition_bytes.labels(rendition, image_format).inc(size)

    def count_fetched(self, size: int) -> None:
        """Count bytes of an original that were fetched."""
        self._fetched_bytes.inc(size)


def retry_reason(error: Exception) -> str:
    """Return the reason for a retry after this error, one of REASONS."""
    match error:
        case SoftTimeLimitExceeded():
            return "time_limit"
        case PyMongoError():
            return "mongo"
        case RedisError():
            return "redis"
        case OSError() | BlobStoreError() | MasterLost():
            return "blobs"
        case TemporaryError():
            return "other_host"
        case _:
            return "bug"


class SweeperMetrics:
    """Metrics of a sweeper."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._redispatched = Counter(
            "sweeper_redispatched",
            "Jobs redispatched: unclaimed by any worker, or stalled after a claim.",
            ["reason"],
            namespace=NAMESPACE,
            registry=registry,
        )
        for reason in REDISPATCH_REASONS:
            self._redispatched.labels(reason)
        self._last_run = Gauge(
            "sweeper_last_run_timestamp_seconds",
            "Unix time of the sweeper's last successful check for due jobs.",
            namespace=NAMESPACE,
            registry=registry,
        )
        self.job_ends = JobEndMetrics(registry)
        self.job_ends.create_series(JobState.DEAD, JobState.CANCELLED)

    def record_round(self) -> None:
        """Record the time of a successful check for due jobs."""
        self._last_run.set(now_ms() / 1000)

    def count_redispatch(self, job: JobRecord) -> None:
        """Count a redispatched job: stalled when any stage was claimed before, else unclaimed."""
        is_claimed = any(record.claims for record in job.stages.values())
        self._redispatched.labels("stalled" if is_claimed else "unclaimed").inc()


class TidierMetrics:
    """Metrics of a tidier."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._last_run = Gauge(
            "tidier_last_run_timestamp_seconds",
            "Unix time of the tidier's last round without an error; 0 in gateways whose tidier waits for the lease.",
            namespace=NAMESPACE,
            registry=registry,
        )

    def record_round(self) -> None:
        """Record the time of a round without an error."""
        self._last_run.set(now_ms() / 1000)

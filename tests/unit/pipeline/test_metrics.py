"""Stage metrics: their series from the start, and what each event adds."""

from __future__ import annotations

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from obstore.exceptions import GenericError
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect
from redis.exceptions import TimeoutError as RedisTimeoutError
from structlog.testing import capture_logs

from pipeline.metrics import OUTCOMES, REASONS, SKEW_LIMIT_SECONDS, StageMetrics, retry_reason
from pipeline.routing import QUEUES
from pipeline.stage_order import stages_of_queue
from pipeline.stage_run import OUTCOME_EVENTS
from stages.errors import FetchFailed, TemporaryError
from storage.clock import now_ms
from storage.documents import JobState, Lane, StageRecord, StageState
from tests.support.fakes import new_job, new_job_id

RENDITIONS = {"small": 160, "large": 1600}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> StageMetrics:
    return StageMetrics(registry)


def read(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"darkroom_{name}", labels)


def test_what_a_worker_serves_has_its_series_from_the_start(registry: CollectorRegistry, metrics: StageMetrics) -> None:
    metrics.create_series(stages_of_queue("resize", RENDITIONS))

    for stage in RENDITIONS:
        assert {read(registry, "stage_runs_total", stage=stage, outcome=outcome) for outcome in OUTCOMES} == {0}
        assert {read(registry, "stage_retries_total", stage=stage, reason=reason) for reason in REASONS} == {0}
    assert read(registry, "stage_runs_total", stage="validate", outcome="done") is None


def test_every_stage_waits_in_one_queue() -> None:
    served = [stage for queue in QUEUES for stage in stages_of_queue(queue, RENDITIONS)]

    assert sorted(served) == ["export", "fetch", "finalize", "large", "normalize", "small", "transform", "validate"]


def test_only_finalize_ends_a_job_well(registry: CollectorRegistry, metrics: StageMetrics) -> None:
    metrics.create_series(stages_of_queue("normalize", RENDITIONS))

    for lane in Lane:
        ends = {
            state: read(registry, "job_end_to_end_seconds_count", kind="crop", result=state, lane=lane)
            for state in JobState
        }
        assert ends == dict.fromkeys(JobState) | {JobState.FAILED: 0, JobState.DEAD: 0}


@pytest.mark.parametrize(("state", "seconds"), [(StageState.DONE, 2), (StageState.RUNNING, 40)])
def test_what_another_server_takes_to_send_an_original_is_no_time_of_the_job(
    registry: CollectorRegistry, metrics: StageMetrics, state: StageState, seconds: int
) -> None:
    now = now_ms()
    job = new_job(id=new_job_id(at_ms=now - 40_000))
    job.stages["fetch"] = StageRecord(state=state, finished_ms=now - 2_000)

    metrics.job_ends.observe_end(job, JobState.DONE)

    took = read(registry, "job_end_to_end_seconds_sum", kind=job.kind, result="done", lane=job.lane)
    assert seconds <= (took or 0) < seconds + 20


@pytest.mark.parametrize("lane", Lane)
def test_a_wait_is_from_when_a_stage_was_due_to_its_claim(
    registry: CollectorRegistry, metrics: StageMetrics, lane: Lane
) -> None:
    job = new_job(lane=lane)
    record = job.stages["validate"]
    record.attempts, record.queued_ms, record.started_ms = 1, 10_000, 12_500

    metrics.observe_queue_wait(job, "validate")

    assert read(registry, "stage_queue_wait_seconds_sum", queue="validate", lane=lane) == 2.5


def test_the_wait_of_a_run_that_follows_a_lost_one_is_not_taken_for_a_wait(
    registry: CollectorRegistry, metrics: StageMetrics
) -> None:
    job = new_job()
    record = job.stages["validate"]
    record.attempts, record.queued_ms, record.started_ms = 2, 10_000, 80_000

    metrics.observe_queue_wait(job, "validate")

    assert {read(registry, "stage_queue_wait_seconds_count", queue="validate", lane=lane) for lane in Lane} <= {None, 0}


def test_a_run_is_timed_however_it_ends(registry: CollectorRegistry, metrics: StageMetrics) -> None:
    with pytest.raises(ZeroDivisionError), metrics.time_run("small"):
        _ = 1 / 0

    assert read(registry, "stage_duration_seconds_count", stage="small") == 1


def test_a_rendition_is_counted_with_its_bytes(registry: CollectorRegistry, metrics: StageMetrics) -> None:
    metrics.count_rendition("small", "jpeg", 700)
    metrics.count_rendition("small", "jpeg", 300)

    assert read(registry, "renditions_total", rendition="small", format="jpeg") == 2
    assert read(registry, "rendition_bytes_total", rendition="small", format="jpeg") == 1000


@pytest.mark.parametrize("lane", Lane)
def test_a_job_took_from_its_uploads_beginning_to_its_end(
    registry: CollectorRegistry, metrics: StageMetrics, lane: Lane
) -> None:
    job = new_job(id=new_job_id(at_ms=now_ms() - 40_000), lane=lane)

    metrics.job_ends.observe_end(job, JobState.DONE)

    assert 40 <= (read(registry, "job_end_to_end_seconds_sum", kind=job.kind, result="done", lane=lane) or 0) < 60


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AutoReconnect("away"), "mongo"),
        (RedisTimeoutError("away"), "redis"),
        (GenericError("disk full"), "blobs"),
        (FileNotFoundError("gone"), "blobs"),
        (SoftTimeLimitExceeded(), "time_limit"),
        (TemporaryError(FetchFailed(), detail="OutboundTimeout"), "other_host"),
        (ZeroDivisionError(), "bug"),
    ],
)
def test_a_retry_is_counted_by_whose_fault_it_was(error: Exception, reason: str) -> None:
    assert reason in REASONS
    assert retry_reason(error) == reason


@pytest.mark.parametrize("skew_seconds", [120, -120])
def test_a_wall_clock_that_is_wrong_is_exported_and_logged_once(
    registry: CollectorRegistry, metrics: StageMetrics, skew_seconds: float
) -> None:
    with capture_logs() as logs:
        for seconds in (skew_seconds, skew_seconds + 1):
            metrics.clock.observe_skew(seconds)

    assert read(registry, "clock_skew_seconds") == skew_seconds + 1
    assert [(line["event"], line["skew_seconds"]) for line in logs] == [("clock.skewed", skew_seconds)]


def test_a_wall_clock_that_is_nearly_right_is_not_logged(metrics: StageMetrics) -> None:
    with capture_logs() as logs:
        metrics.clock.observe_skew(-SKEW_LIMIT_SECONDS)

    assert not logs


def test_every_outcome_has_an_event_and_a_series() -> None:
    assert set(OUTCOME_EVENTS) == set(OUTCOMES)

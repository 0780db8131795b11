"""The overview, computed from the metrics of the processes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.admin.top import overview as module
from deploy.admin.top.models import Reading
from deploy.admin.top.overview import build_overview, latest_failures
from deploy.admin.top.scrape import Scrape, ScrapeDelta

Samples = Mapping[str, float]  # series as Prometheus writes them: name{label="value"}


def _scrape(at: float, samples: Samples) -> Scrape:
    return Scrape.parse(at, "".join(f"{series} {value}\n" for series, value in samples.items()))


def _reading(name: str, after: Samples, before: Samples | None = None, *, error: str = "") -> Reading:
    latest = _scrape(10, after)
    span = None if before is None or error else ScrapeDelta(_scrape(0, before), latest)
    is_gateway = name.startswith("gateway")
    return Reading(
        name=name, url=f"http://{name}/metrics", is_gateway=is_gateway, latest=latest, span=span, error=error
    )


def _histogram(name: str, labels: str, fast: float, total: float) -> dict[str, float]:
    """Return the samples of a histogram with the bounds 0.1 and 1."""
    buckets = {"0.1": fast, "1.0": total, "+Inf": total}
    samples = {f'{name}_bucket{{{labels},le="{bound}"}}': count for bound, count in buckets.items()}
    return samples | {f"{name}_count{{{labels}}}": total}


def _worker(queue: str, **samples: float) -> dict[str, float]:
    return {
        f'darkroom_worker_{name}{{queue="{queue}"}}': value for name, value in ({"pool_processes": 1} | samples).items()
    }


def test_figures_of_the_whole_system_are_not_summed_over_gateways() -> None:
    samples = {
        'darkroom_jobs{state="done"}': 40,
        'darkroom_queue_length{queue="resize"}': 7,
        "darkroom_unacked_messages": 2,
    }
    fresher = samples | {'darkroom_jobs{state="done"}': 41}

    shown = build_overview([_reading("gateway", samples), _reading("gateway-2", fresher)])

    assert shown.jobs == {"done": 41}
    assert [(queue.name, queue.length) for queue in shown.queues] == [("resize", 7)]
    assert shown.unacked_messages == 2


def test_figures_of_each_gateway_are_summed() -> None:
    submitted = 'darkroom_jobs_submitted_total{{kind="{}",result="{}"}}'
    before = {submitted.format("previews", "accepted"): 0, submitted.format("crop", "accepted"): 0}
    after = {submitted.format("previews", "accepted"): 30, submitted.format("crop", "accepted"): 10}

    shown = build_overview([_reading("gateway", after, before), _reading("gateway-2", after, before)])

    assert shown.rates["accepted"] == 8
    assert shown.rates["refused"] == 0


def test_jobs_end_in_workers_and_in_gateways() -> None:
    def ended(result: str, number: float) -> dict[str, float]:
        return _histogram("darkroom_job_end_to_end_seconds", f'kind="previews",result="{result}"', number, number)

    readings = [
        _reading("gateway", ended("dead", 5), ended("dead", 0)),
        _reading("finalize", ended("done", 50), ended("done", 10)),
        _reading("validate", ended("dead", 10), ended("dead", 0)),
    ]

    shown = build_overview(readings)

    assert (shown.rates["done"], shown.rates["dead"], shown.rates["failed"]) == (4, 1.5, 0)
    assert shown.job_p50 == pytest.approx(0.05)


def test_workers_of_one_queue_are_shown_as_one() -> None:
    samples = _worker("resize", pool_processes=2, tasks_active=1, memory_bytes=100, child_lost_total=1)

    shown = build_overview([_reading("resize", samples), _reading("resize-2", samples)]).queues[0]

    assert (shown.workers_up, shown.workers) == (2, 2)
    assert (shown.active, shown.children, shown.memory, shown.children_lost) == (2, 4, 200, 2)


def test_a_worker_that_is_down_counts_for_the_queue_that_it_served() -> None:
    readings = [
        _reading("10.0.0.7:9100", _worker("resize", memory_bytes=100)),
        _reading("10.0.0.8:9100", _worker("resize", memory_bytes=100), error="does not answer"),
    ]

    shown = build_overview(readings)

    assert [each.name for each in shown.down] == ["10.0.0.8:9100"]
    assert (shown.queues[0].workers_up, shown.queues[0].workers, shown.queues[0].memory) == (1, 2, 100)


def test_a_worker_that_never_answered_counts_for_the_queue_of_its_name() -> None:
    silent = Reading(name="resize", url="http://x/metrics", is_gateway=False, error="does not answer")

    shown = build_overview([silent])

    assert [(queue.name, queue.workers_up, queue.workers) for queue in shown.queues] == [("resize", 0, 1)]


def test_a_gateway_that_is_down_contributes_no_figures() -> None:
    samples = {"darkroom_unacked_messages": 2, 'darkroom_dependency_up{dependency="redis"}': 1}

    shown = build_overview([_reading("gateway", samples, error="does not answer")])

    assert shown.unacked_messages is None
    assert shown.dependencies == []


def test_queues_and_stages_come_in_the_order_of_the_pipeline() -> None:
    stages = ["export", "small", "large", "finalize", "validate", "transform", "fetch", "normalize"]
    samples = {f'darkroom_stage_duration_seconds_count{{stage="{stage}"}}': 1.0 for stage in stages}
    queues = {f'darkroom_queue_length{{queue="{queue}"}}': 0.0 for queue in ("finalize", "other", "resize", "validate")}

    shown = build_overview([_reading("gateway", queues), _reading("all", samples)])

    assert [stage.name for stage in shown.stages] == [
        "fetch",
        "validate",
        "normalize",
        "small",
        "large",
        "transform",
        "export",
        "finalize",
    ]
    assert [queue.name for queue in shown.queues] == ["validate", "resize", "finalize", "other"]


def test_a_stage_has_its_rate_its_durations_and_its_outcomes() -> None:
    def ran(done: float, refused: float) -> dict[str, float]:
        runs = 'darkroom_stage_runs_total{{stage="small",outcome="{}"}}'
        samples = {runs.format("done"): done, runs.format("refused"): refused, runs.format("fenced"): 3}
        return samples | _histogram("darkroom_stage_duration_seconds", 'stage="small"', done, done + refused)

    stage = build_overview([_reading("resize", ran(100, 25), ran(85, 20))]).stages[0]

    assert stage.runs == 2
    assert stage.outcomes == {"done": 15, "refused": 5}
    assert stage.p50 == pytest.approx(0.1 * 10 / 15)


def test_the_wait_of_a_queue_counts_only_its_own_messages() -> None:
    def waited(fast: float, total: float) -> dict[str, float]:
        return _worker("resize") | _histogram("darkroom_stage_queue_wait_seconds", 'queue="resize"', fast, total)

    shown = build_overview(
        [_reading("resize", waited(10, 20), waited(0, 0)), _reading("validate", _worker("validate"))]
    )

    assert {queue.name: queue.wait_p95 for queue in shown.queues} == {"validate": None, "resize": pytest.approx(0.91)}


def test_a_store_is_up_when_every_gateway_reaches_it() -> None:
    up = {
        'darkroom_dependency_up{dependency="redis"}': 1.0,
        'darkroom_dependency_check_seconds{dependency="redis"}': 0.1,
    }

    shown = build_overview(
        [_reading("gateway", up), _reading("gateway-2", up | {'darkroom_dependency_up{dependency="redis"}': 0})]
    )

    assert [(store.name, store.is_up, store.seconds) for store in shown.dependencies] == [("redis", False, 0.1)]


def test_the_scrape_itself_is_not_a_request_in_progress() -> None:
    samples = {"darkroom_http_requests_in_progress": 3}

    assert build_overview([_reading("gateway", samples), _reading("gateway-2", samples)]).in_progress == 4


def test_only_answers_of_500_and_more_are_errors() -> None:
    requests = 'darkroom_http_requests_total{{method="POST",route="/upload",status="{}"}}'
    after = {requests.format(status): 2.0 for status in ("202", "415", "500", "503")}

    assert build_overview([_reading("gateway", after, {})]).server_errors == 4


def test_before_the_second_scrape_there_are_no_rates() -> None:
    shown = build_overview([_reading("gateway", {'darkroom_jobs{state="done"}': 1})])

    assert shown.seconds == 0
    assert shown.jobs == {"done": 1}


def test_the_latest_failures_of_both_kinds_come_first() -> None:
    def job(task_id: str, status: str, second: int, failure: dict[str, str] | None) -> dict[str, object]:
        at = f"2026-11-22T14:00:{second:02}+00:00"
        return {"task_id": task_id, "status": status, "created_at": at, "finished_at": at, "failure": failure}

    truncated = {"stage": "normalize", "code": "image_truncated", "message": "The image ends early."}
    failed = [job("c", "failed", 30, truncated), job("a", "failed", 10, truncated)]
    dead = [job("b", "dead", 20, None)]

    latest = latest_failures([failed, dead], 2)

    assert [(each.task_id, each.status, each.code) for each in latest] == [
        ("c", "failed", "image_truncated"),
        ("b", "dead", ""),
    ]


def test_every_metric_of_the_overview_is_exported(exported_labels: dict[str, set[str]]) -> None:
    source = Path(module.__file__).read_text(encoding="utf-8")
    asked = set(re.findall(r"\bdarkroom_[a-z_]+[a-z]\b", source))
    asked |= {f"darkroom_worker_{name}" for name in re.findall(r'sum_metric\("(\w+)"\)', source)}
    histograms = {name.removesuffix("_bucket") for name in exported_labels}

    assert len(asked) > 20
    assert asked <= exported_labels.keys() | histograms

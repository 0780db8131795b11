"""Computes the overview from the readings: no sockets, no clock, no colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from deploy.admin.top.models import Dependency, FailedJob, Overview, Queue, Reading, Stage
from deploy.admin.top.scrape import Scrape, ScrapeDelta, quantiles, rate
from pipeline.routing import EXPORT, FETCH, FINALIZE, NORMALIZE, QUEUES, RESIZE, TRANSFORM, VALIDATE

STAGES = (FETCH, VALIDATE, NORMALIZE, RESIZE, TRANSFORM, EXPORT, FINALIZE)
STAGE_ORDER = {name: place for place, name in enumerate(STAGES)}
RENDITION_ORDER = STAGE_ORDER[RESIZE]
ENDS = ("done", "failed", "dead", "cancelled")


def build_overview(readings: Sequence[Reading]) -> Overview:
    """Compute the overview. Figures of the whole system are taken once, each gateway's own figures are summed."""
    gateways = [reading.latest for reading in readings if reading.is_gateway and not reading.error and reading.latest]
    workers = [reading for reading in readings if not reading.is_gateway]
    own = [reading.span for reading in readings if reading.is_gateway and reading.span]
    spans = [reading.span for reading in readings if reading.span]
    job_p50, job_p95 = quantiles(spans, "darkroom_job_end_to_end_seconds", 0.5, 0.95, result="done")
    return Overview(
        version=next((labels["version"] for each in gateways for labels, _ in each.series("darkroom_build_info")), ""),
        seconds=max((span.seconds for span in spans), default=0.0),
        rates=_rates(spans),
        jobs=_max_by_label(gateways, "darkroom_jobs", "state"),
        oldest_seconds=_max_value(gateways, "darkroom_job_oldest_age_seconds"),
        job_p50=job_p50,
        job_p95=job_p95,
        posts=rate(own, "darkroom_http_requests_total", method="POST"),
        post_p95=quantiles(own, "darkroom_http_request_duration_seconds", 0.95, method="POST")[0],
        in_progress=_count_other_requests([each.value("darkroom_http_requests_in_progress") for each in gateways]),
        server_errors=_server_errors(own),
        unacked_messages=_max_value(gateways, "darkroom_unacked_messages"),
        sweeper_ran_at=_max_value(gateways, "darkroom_sweeper_last_run_timestamp_seconds"),
        redispatched=sum(span.increase("darkroom_sweeper_redispatched_total") for span in own),
        blob_free_bytes=_max_value(gateways, "darkroom_blob_store_free_bytes"),
        blob_size_bytes=_max_value(gateways, "darkroom_blob_store_size_bytes"),
        queues=_queues(gateways, workers),
        stages=_stages(workers),
        dependencies=_dependencies(gateways),
        down=[reading for reading in readings if reading.error],
    )


def latest_failures(pages: Iterable[Iterable[dict[str, Any]]], number: int) -> list[FailedJob]:
    """Return the latest of the jobs in these pages of GET /jobs, the youngest first."""
    failed = [FailedJob.from_api(job) for page in pages for job in page]
    return sorted(failed, key=lambda job: job.at, reverse=True)[:number]


def _rates(spans: list[ScrapeDelta]) -> dict[str, float]:
    rates = {result: rate(spans, "darkroom_jobs_submitted_total", result=result) for result in ("accepted", "refused")}
    for result in ENDS:
        rates[result] = rate(spans, "darkroom_job_end_to_end_seconds_count", result=result)
    return rates


def _server_errors(spans: list[ScrapeDelta]) -> float:
    requests = [each for span in spans for each in span.series("darkroom_http_requests_total")]
    return sum(increase for labels, increase in requests if labels["status"].startswith("5"))


def _queues(gateways: list[Scrape], workers: list[Reading]) -> list[Queue]:
    served = {reading.name: _served_queues(reading) for reading in workers}
    lengths = _max_by_label(gateways, "darkroom_queue_length", "queue")
    oldest = _max_by_label(gateways, "darkroom_queue_oldest_age_seconds", "queue")
    names = {*lengths, *(name for names in served.values() for name in names)}
    ordered = [name for name in QUEUES if name in names] + sorted(names - set(QUEUES))
    return [
        _queue(name, lengths.get(name), oldest.get(name), [each for each in workers if name in served[each.name]])
        for name in ordered
    ]


def _queue(name: str, length: float | None, oldest: float | None, workers: list[Reading]) -> Queue:
    up = [reading.latest for reading in workers if reading.latest and not reading.error]
    spans = [reading.span for reading in workers if reading.span]
    wait_p50, wait_p95 = quantiles(spans, "darkroom_stage_queue_wait_seconds", 0.5, 0.95, queue=name)

    def sum_metric(metric: str) -> float:
        return sum(each.value(f"darkroom_worker_{metric}", queue=name) or 0 for each in up)

    return Queue(
        name=name,
        length=length,
        oldest_seconds=oldest,
        wait_p50=wait_p50,
        wait_p95=wait_p95,
        workers_up=len(up),
        workers=len(workers),
        active=sum_metric("tasks_active"),
        children=sum_metric("pool_processes"),
        reserved=sum_metric("tasks_reserved"),
        memory=sum_metric("memory_bytes"),
        children_lost=sum_metric("child_lost_total"),
    )


def _served_queues(reading: Reading) -> list[str]:
    """Return the queues of a worker. Before its first answer, this is the queue that it is named after."""
    if reading.latest is None:
        return [reading.name] if reading.name in QUEUES else []
    return [labels["queue"] for labels, _ in reading.latest.series("darkroom_worker_pool_processes")]


def _stages(workers: list[Reading]) -> list[Stage]:
    names: dict[str, None] = {}
    for reading in workers:
        for labels, _ in reading.latest.series("darkroom_stage_duration_seconds_count") if reading.latest else []:
            names[labels["stage"]] = None
    spans = [reading.span for reading in workers if reading.span]
    return [_stage(name, spans) for name in sorted(names, key=lambda name: STAGE_ORDER.get(name, RENDITION_ORDER))]


def _stage(name: str, spans: list[ScrapeDelta]) -> Stage:
    p50, p95 = quantiles(spans, "darkroom_stage_duration_seconds", 0.5, 0.95, stage=name)
    outcomes: dict[str, int] = {}
    for span in spans:
        for labels, increase in span.series("darkroom_stage_runs_total", stage=name):
            outcomes[labels["outcome"]] = outcomes.get(labels["outcome"], 0) + round(increase)
    return Stage(
        name=name,
        runs=rate(spans, "darkroom_stage_runs_total", stage=name),
        p50=p50,
        p95=p95,
        outcomes={outcome: number for outcome, number in outcomes.items() if number},
    )


def _dependencies(gateways: list[Scrape]) -> list[Dependency]:
    seconds = _max_by_label(gateways, "darkroom_dependency_check_seconds", "dependency")
    up: dict[str, bool] = {}
    for each in gateways:
        for labels, value in each.series("darkroom_dependency_up"):
            name = labels["dependency"]
            up[name] = up.get(name, True) and value == 1
    return [Dependency(name=name, is_up=up[name], seconds=seconds.get(name)) for name in sorted(up)]


def _max_by_label(gateways: list[Scrape], name: str, label: str) -> dict[str, float]:
    """Return the value of each series by one label, the highest if several gateways report it."""
    highest: dict[str, float] = {}
    for each in gateways:
        for labels, value in each.series(name):
            highest[labels[label]] = max(value, highest.get(labels[label], value))
    return highest


def _max_value(gateways: list[Scrape], name: str) -> float | None:
    return max((value for each in gateways for _, value in each.series(name)), default=None)


def _count_other_requests(in_progress: list[float | None]) -> float | None:
    """Return how many requests are in progress, without the request for the metrics at each gateway."""
    known = [max(0.0, value - 1) for value in in_progress if value is not None]
    return sum(known) if known else None

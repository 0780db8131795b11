"""Metrics of a running stack: every process counts, and goes on counting when its children are replaced."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from deploy.local.processes import ROOT
from deploy.local.stack import Stack
from pipeline.routing import QUEUES
from tests.integration.api_helpers import submit_operation, submit_photo, wait_for_end, wait_until
from tests.integration.scraping import scrape
from tests.support.images import encode_image, photo


def read(stack: Stack, process: str, name: str, **labels: str) -> float:
    return scrape(stack, process).get((name, tuple(sorted(labels.items()))), 0)


def has_looked(stack: Stack) -> bool:
    return read(stack, "gateway", "dependency_up", dependency="mongo") == 1


def test_a_job_is_counted_at_every_stage_it_passes(client: httpx.Client, stack: Stack) -> None:
    stages = {"validate": "validate", "normalize": "normalize", "resize": "small", "finalize": "finalize"}
    before = {
        queue: read(stack, queue, "stage_runs_total", stage=stage, outcome="done") for queue, stage in stages.items()
    }
    waited = read(stack, "resize", "stage_queue_wait_seconds_count", queue="resize", lane="express")
    done = read(stack, "finalize", "job_end_to_end_seconds_count", kind="previews", result="done", lane="express")

    wait_for_end(client, submit_photo(client, encode_image(photo(), "jpeg")))

    for queue, stage in stages.items():
        assert read(stack, queue, "stage_runs_total", stage=stage, outcome="done") == before[queue] + 1, queue
    assert read(stack, "resize", "stage_queue_wait_seconds_count", queue="resize", lane="express") == waited + 3
    ended = read(stack, "finalize", "job_end_to_end_seconds_count", kind="previews", result="done", lane="express")
    assert ended == done + 1


def test_a_refused_image_is_counted_where_it_was_refused(client: httpx.Client, stack: Stack) -> None:
    refused = read(stack, "normalize", "stage_runs_total", stage="normalize", outcome="refused")
    end = {"kind": "previews", "result": "failed", "lane": "express"}
    failed = read(stack, "normalize", "job_end_to_end_seconds_count", **end)

    wait_for_end(client, submit_photo(client, encode_image(photo(900, 600), "jpeg")[:20_000]))

    assert read(stack, "normalize", "stage_runs_total", stage="normalize", outcome="refused") == refused + 1
    assert read(stack, "normalize", "job_end_to_end_seconds_count", **end) == failed + 1


@pytest.mark.parametrize("outage", [False, True], ids=["", "after the broker was away"])
def test_counters_outlive_the_child_that_counted_and_its_death_is_counted(
    client: httpx.Client, stack: Stack, *, outage: bool
) -> None:
    if outage:  # a worker that connects again sets its pool up anew
        stack.restart_process("redis")
    wait_for_end(client, submit_operation(client, "grayscale", encode_image(photo(), "jpeg")))
    made = read(stack, "transform", "renditions_total", rendition="output", format="jpeg")
    lost = read(stack, "transform", "worker_child_lost_total", queue="transform")
    (child,) = stack.children("transform")

    os.kill(child, signal.SIGKILL)
    wait_until(lambda: stack.children("transform") not in ([], [child]), "another child")
    wait_for_end(client, submit_operation(client, "grayscale", encode_image(photo(), "jpeg")))

    assert read(stack, "transform", "renditions_total", rendition="output", format="jpeg") == made + 1
    assert read(stack, "transform", "worker_child_lost_total", queue="transform") == lost + 1
    assert read(stack, "transform", "worker_pool_processes", queue="transform") == 1


def test_more_jobs_make_no_more_series(client: httpx.Client, stack: Stack) -> None:
    contents = [encode_image(photo(), "jpeg"), encode_image(photo(), "jpeg")[:3000]]
    for content in contents:
        wait_for_end(client, submit_photo(client, content))
    wait_until(lambda: has_looked(stack), "the gateway to look around")
    before = {process: set(scrape(stack, process)) for process in stack.metrics_urls}

    for _ in range(5):
        for content in contents:
            wait_for_end(client, submit_photo(client, content))

    more = {process: set(scrape(stack, process)) - before[process] for process in before}
    assert not {process: series for process, series in more.items() if series}


def test_a_gateway_sees_the_queues_the_jobs_and_the_stores(stack: Stack) -> None:
    everything = {"redis": 1, "mongo": 1, "blobs": 1}
    wait_until(lambda: has_looked(stack) and _up(stack) == everything, "the gateway to see everything")

    seen = scrape(stack, "gateway")
    assert {dict(labels)["queue"] for name, labels in seen if name == "queue_length"} == set(QUEUES)
    assert seen["sweeper_last_run_timestamp_seconds", ()] > 0
    assert seen["blob_store_free_bytes", ()] > 0


def _up(stack: Stack) -> dict[str, float]:
    """Return which dependencies the gateway reaches, 1 or 0."""
    seen = scrape(stack, "gateway")
    return {dict(labels)["dependency"]: value for (name, labels), value in seen.items() if name == "dependency_up"}


def test_a_worker_that_cannot_serve_its_metrics_does_not_run(stack: Stack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        environment = os.environ | {
            "DARKROOM_REDIS_URL": stack.redis_url,
            "DARKROOM_MONGO_URL": stack.mongo_url,
            "DARKROOM_METRICS__PORT": port,
        }
        command = [sys.executable, "-m", "celery", "-A", "pipeline.worker", "worker", "-Q", "nobody", "-n", "unseen@%h"]

        ended = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    assert ended.returncode != 0
    assert f"Cannot serve the metrics on 127.0.0.1:{port}" in ended.stderr

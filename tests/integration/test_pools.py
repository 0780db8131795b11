"""A stack whose queues share one worker does all kinds of jobs, and shows metrics of every queue."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from deploy.local.pools import choose_pools
from deploy.local.stack import Stack
from pipeline.routing import QUEUES
from tests.integration.api_helpers import submit_operation, submit_photo, wait_for_end, wait_for_image
from tests.integration.scraping import scrape
from tests.support.http_options import HTTP_OPTIONS
from tests.support.images import encode_image, photo

CHILDREN = 2


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with one worker for all queues."""
    with Stack(tmp_path_factory.mktemp("pooled"), **choose_pools("all", cores=CHILDREN)) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    """A client of that stack."""
    with httpx.Client(base_url=stack.url, timeout=30, **HTTP_OPTIONS) as client:
        yield client


def test_one_worker_makes_previews_and_does_every_operation(client: httpx.Client) -> None:
    original = encode_image(photo(96, 64))
    jobs = [
        submit_photo(client, original),
        submit_operation(client, "grayscale", original),
        submit_operation(client, "resize", original, width=48),
        submit_operation(client, "crop", original, left=0, top=0, width=32, height=16),
    ]

    ended = [wait_for_end(client, job) for job in jobs]

    assert [job["status"] for job in ended] == ["done"] * len(jobs)
    assert wait_for_image(client, jobs[0], "small").size == (96, 64)
    assert wait_for_image(client, jobs[-1]).size == (32, 16)


def test_each_stage_counts_its_runs_under_its_own_queue(client: httpx.Client, stack: Stack) -> None:
    wait_for_end(client, submit_photo(client, encode_image(photo())))
    wait_for_end(client, submit_operation(client, "resize", encode_image(photo()), width=8))

    samples = scrape(stack, "worker")

    stages = {"validate", "normalize", "small", "medium", "large", "transform", "finalize"}
    ran = {
        dict(labels)["stage"]
        for (name, labels), count in samples.items()
        if name == "stage_runs_total" and ("outcome", "done") in labels and count
    }
    waits = {
        dict(labels)["queue"]
        for (name, labels), count in samples.items()
        if name == "stage_queue_wait_seconds_count" and count
    }
    assert ran >= stages
    assert waits == {"validate", "normalize", "resize", "transform", "finalize"}


def test_the_pool_is_shown_for_each_queue_that_it_serves(stack: Stack) -> None:
    samples = scrape(stack, "worker")

    pools = {dict(labels)["queue"]: size for (name, labels), size in samples.items() if name == "worker_pool_processes"}
    assert pools == dict.fromkeys(QUEUES, CHILDREN)

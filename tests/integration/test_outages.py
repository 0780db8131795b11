"""Servers and workers that are away: what was accepted completes once they are back."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from redis import Redis

from deploy.local.stack import Stack
from tests.integration.api_helpers import (
    freeze_process,
    get_status,
    skip_unless_own,
    submit_photo,
    upload,
    wait_for_end,
    wait_until,
)
from tests.integration.scraping import scrape
from tests.support.images import encode_image, photo

UNSENT = 2  # jobs that a full Redis does not take


@pytest.fixture
def down(stack: Stack) -> Iterator[list[str]]:
    """Names of processes that the test has stopped, for them to be started again whatever happens."""
    names: list[str] = []
    yield names
    for name in names:
        stack.start_process(name)


def test_upload_is_accepted_without_redis_and_completes_when_it_is_back(
    client: httpx.Client, stack: Stack, down: list[str]
) -> None:
    stack.stop_process("redis")
    down.append("redis")

    task_id = submit_photo(client, encode_image(photo(), "jpeg"))
    readiness = client.get("/readyz")
    stack.start_process(down.pop())

    assert readiness.status_code == 200
    assert readiness.json()["status"] == "degraded"
    assert wait_for_end(client, task_id)["status"] == "done"


def test_upload_is_accepted_while_redis_is_frozen(client: httpx.Client, stack: Stack) -> None:
    stack.signal("redis", signal.SIGSTOP)
    try:
        task_id = submit_photo(client, encode_image(photo(), "jpeg"))
    finally:
        stack.signal("redis", signal.SIGCONT)

    assert wait_for_end(client, task_id)["status"] == "done"


def test_a_full_redis_ends_no_worker_and_loses_nothing(client: httpx.Client, stack: Stack) -> None:
    workers = {queue: stack.pid(queue) for queue in stack.pools}
    with Redis.from_url(stack.redis_url) as redis:
        with freeze_process(stack, "validate"):
            task_ids = [submit_photo(client, encode_image(photo(), "jpeg")) for _ in range(4)]
            redis.config_set("maxmemory", 1)
        try:
            task_ids += [submit_photo(client, encode_image(photo(), "jpeg")) for _ in range(UNSENT)]
            wait_until(lambda: "OutOfMemoryError" in "".join(map(stack.log, stack.pools)), "a worker to meet it")
            wait_until(lambda: scrape(stack, "gateway")["redis_memory_max_bytes", ()] == 1, "the gateway to measure it")
            readiness, metrics = client.get("/readyz"), scrape(stack, "gateway")
        finally:
            redis.config_set("maxmemory", 0)

    assert {wait_for_end(client, task_id)["status"] for task_id in task_ids} == {"done"}
    assert {queue: stack.pid(queue) for queue in stack.pools} == workers
    assert (readiness.status_code, readiness.json()["status"]) == (200, "degraded")
    assert readiness.json()["checks"]["redis"]["error"] == "full"
    assert metrics["dependency_up", (("dependency", "redis"),)] == 0
    assert metrics["dispatches_total", (("result", "failed"),)] >= UNSENT


@contextmanager
def fill_disk_of_redis(stack: Stack) -> Iterator[None]:
    """Let Redis append nothing to its file: the error is EFBIG, where that of a full disk is ENOSPC."""
    pid = stack.pid("redis")
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def test_a_redis_whose_disk_is_full_ends_no_worker_and_loses_nothing(client: httpx.Client, stack: Stack) -> None:
    skip_unless_own(stack, "redis")
    workers = {queue: stack.pid(queue) for queue in stack.pools}
    task_ids = [submit_photo(client, encode_image(photo(), "jpeg")) for _ in range(4)]

    with fill_disk_of_redis(stack):
        task_ids += [submit_photo(client, encode_image(photo(), "jpeg")) for _ in range(UNSENT)]
        wait_until(
            lambda: all("Errors writing to the AOF" in stack.log(queue) for queue in stack.pools),
            "all workers to meet it",
        )
        readiness = client.get("/readyz")

    assert {wait_for_end(client, task_id)["status"] for task_id in task_ids} == {"done"}
    assert {queue: stack.pid(queue) for queue in stack.pools} == workers
    assert (readiness.status_code, readiness.json()["status"]) == (200, "degraded")


def test_a_stage_that_cannot_read_its_blob_is_retried_and_then_sent_on_again(
    client: httpx.Client, stack: Stack, blob_folder: Path, down: list[str]
) -> None:
    stack.stop_process("normalize")
    down.append("normalize")
    task_id = submit_photo(client, encode_image(photo(), "jpeg"))
    wait_until(lambda: _state(client, task_id, "validate") == "done", "validate to be done")
    original = blob_folder / task_id / "original"
    original.rename(blob_folder / "elsewhere")
    stack.start_process(down.pop())

    wait_until(lambda: get_status(client, task_id)["generation"] >= 1, "the errback to have the sweeper send it on")
    (blob_folder / "elsewhere").rename(original)

    job = wait_for_end(client, task_id)
    assert job["status"] == "done"
    assert job["stages"]["normalize"]["attempts"] > 1
    assert "job.stalled" in _lines(stack, "finalize", task_id)


def test_a_worker_born_while_the_blobs_are_away_works_once_they_are_back(
    client: httpx.Client, stack: Stack, blob_folder: Path, down: list[str]
) -> None:
    stack.stop_process("validate")
    down.append("validate")
    task_id = submit_photo(client, encode_image(photo(), "jpeg"))
    aside = blob_folder.rename(blob_folder.with_name("blobs-aside"))
    blob_folder.touch()  # a file: nothing can be opened or made in its place
    try:
        stack.start_process(down.pop())
        wait_until(lambda: "stage.retried" in _lines(stack, "validate", task_id), "a run to be put off")
    finally:
        blob_folder.unlink()
        aside.rename(blob_folder)

    assert wait_for_end(client, task_id)["status"] == "done"


def test_upload_without_mongo_is_503_and_leaves_no_orphan(
    client: httpx.Client, stack: Stack, blob_folder: Path, down: list[str]
) -> None:
    skip_unless_own(stack, "mongo")
    before = {path.name for path in blob_folder.iterdir()}
    stack.stop_process("mongo")
    down.append("mongo")

    response = upload(client, encode_image(photo(), "jpeg"))
    readiness = client.get("/readyz")
    stack.start_process(down.pop())

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert readiness.status_code == 503
    wait_until(lambda: {path.name for path in blob_folder.iterdir()} <= before, "the orphan to be swept")


def test_jobs_wait_for_their_workers_and_are_not_sent_twice(
    client: httpx.Client, stack: Stack, down: list[str]
) -> None:
    for name in ("validate", "normalize", "resize", "finalize"):
        stack.stop_process(name)
        down.append(name)
    task_ids = [submit_photo(client, encode_image(photo(), "jpeg")) for _ in range(5)]
    while down:
        stack.start_process(down.pop(), wait=False)

    jobs = [wait_for_end(client, task_id) for task_id in task_ids]

    assert {job["status"] for job in jobs} == {"done"}
    assert {job["generation"] for job in jobs} == {0}


@pytest.mark.documents
def test_jobs_survive_an_emptied_redis(client: httpx.Client, stack: Stack, down: list[str]) -> None:
    stack.stop_process("normalize")
    down.append("normalize")
    task_id = submit_photo(client, encode_image(photo(), "jpeg"))
    wait_until(lambda: _state(client, task_id, "validate") == "done", "validate to be done")
    with Redis.from_url(stack.redis_url) as redis:
        wait_until(lambda: redis.llen("normalize") > 0, "the next message, which is sent after that")

    _flush(stack)
    stack.start_process(down.pop())

    job = wait_for_end(client, task_id)
    assert job["status"] == "done"
    assert job["generation"] >= 1
    assert job["stages"]["validate"]["attempts"] == 1


@pytest.mark.documents
def test_a_warm_restart_of_everything_loses_nothing(client: httpx.Client, stack: Stack) -> None:
    task_ids = [submit_photo(client, encode_image(photo(2400, 1600), "jpeg")) for _ in range(6)]

    workers = ("validate", "normalize", "resize", "finalize")
    for name in (*workers, "gateway"):
        stack.restart_process(name, wait=False)
    stack.wait_ready("gateway")

    assert {wait_for_end(client, task_id)["status"] for task_id in task_ids} == {"done"}
    assert [name for name in workers if "worker.hung" in stack.log(name)] == []


def _state(client: httpx.Client, task_id: str, stage: str) -> str:
    state: str = client.get(f"/task-status/{task_id}").json()["stages"][stage]["state"]
    return state


def _lines(stack: Stack, process: str, task_id: str) -> str:
    return "\n".join(line for line in stack.log(process).splitlines() if task_id in line)


def _flush(stack: Stack) -> None:
    with Redis.from_url(stack.redis_url) as redis:
        redis.flushall()

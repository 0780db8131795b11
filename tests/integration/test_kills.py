"""Processes killed in the middle of work: every accepted job ends done, and is finalised once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest
from pymongo.collection import Collection

from deploy.local.stack import Stack
from tests.integration.api_helpers import get_status, submit_operation, submit_photo, wait_for_all, wait_until
from tests.support.images import encode_image, photo

JOBS = 20


@pytest.fixture(scope="module")
def big_photo() -> bytes:
    return encode_image(photo(3000, 2000), "jpeg")


def _finalizations(stack: Stack, task_ids: list[str]) -> set[int]:
    mongo: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(stack.mongo_url) as mongo:
        jobs: Collection[dict[str, Any]] = mongo.get_default_database()["jobs"]
        return {job["finalizations"] for job in jobs.find({"_id": {"$in": task_ids}})}


def _wait_for_a_running_resize(stack: Stack, task_ids: list[str]) -> None:
    """Return in the middle of a resize; where all were too quick to be seen, once every job has ended."""
    runs = [{f"stages.{name}.state": "running"} for name in ("small", "medium", "large")]
    mongo: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(stack.mongo_url) as mongo:
        jobs: Collection[dict[str, Any]] = mongo.get_default_database()["jobs"]
        mine = {"_id": {"$in": task_ids}}

        def one_runs() -> bool:
            seen = jobs.find_one(mine | {"$or": runs}) is not None
            return seen or jobs.find_one(mine | {"state": {"$in": ["accepted", "processing"]}}) is None

        wait_until(one_runs, "a resize to run")


def test_jobs_survive_a_killed_child_and_a_killed_worker(client: httpx.Client, stack: Stack, big_photo: bytes) -> None:
    task_ids = [submit_photo(client, big_photo) for _ in range(JOBS)]

    _wait_for_a_running_resize(stack, task_ids)
    os.kill(stack.children("resize")[0], signal.SIGKILL)
    _wait_for_a_running_resize(stack, task_ids)
    children = stack.children("resize")
    stack.signal("resize", signal.SIGKILL)
    for child in children:  # a killed parent's children end by themselves; not waited for here
        _kill_quietly(child)

    jobs = wait_for_all(client, task_ids, seconds=90)
    assert [job["status"] for job in jobs] == ["done"] * JOBS
    assert _finalizations(stack, task_ids) == {1}


def test_jobs_survive_a_killed_gateway(client: httpx.Client, stack: Stack, big_photo: bytes) -> None:
    task_ids = [submit_photo(client, big_photo) for _ in range(3)]

    stack.signal("gateway", signal.SIGKILL)
    stack.wait_ready("gateway")

    jobs = wait_for_all(client, task_ids)
    assert {job["status"] for job in jobs} == {"done"}
    assert _finalizations(stack, task_ids) == {1}


def _kill_quietly(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_what_a_run_of_a_cancelled_job_wrote_before_it_was_killed_is_removed(
    client: httpx.Client, stack: Stack, blob_folder: Path, big_photo: bytes
) -> None:
    task_id = submit_operation(client, "grayscale", big_photo, format="avif", quality=90)  # takes seconds
    wait_until(lambda: get_status(client, task_id)["stages"]["transform"]["state"] == "running", "transform to run")
    children = stack.children("transform")
    for child in children:
        os.kill(child, signal.SIGSTOP)

    client.delete(f"/jobs/{task_id}").raise_for_status()
    (blob_folder / task_id).mkdir(exist_ok=True)
    for name in ("output.1", "output.1#1"):  # as the run would, had it been killed a little later
        (blob_folder / task_id / name).write_bytes(b"half of")
    for child in children:
        _kill_quietly(child)

    wait_until(lambda: not (blob_folder / task_id).exists(), "the folder to go", seconds=40)
    assert get_status(client, task_id)["status"] == "cancelled"

"""Steps that integration tests share: send photos in, wait for their jobs on a deadline."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops, ImageStat

from deploy.local.stack import Stack
from tests.support.images import decode_image

ENDED = ("done", "failed", "dead", "cancelled")
SECONDS = 60.0
CLOCK_ERROR = timedelta(milliseconds=500)
LONG_POLL_SECONDS = 2.0  # a gateway may lose its feed of changes meanwhile
PAUSES = 0.02, 0.15  # seconds between two looks, at first and at last: what waits long should not keep others busy


def upload(client: httpx.Client, content: bytes, name: str = "photo.jpg") -> httpx.Response:
    """Post one file."""
    return client.post("/upload", files={"file": (name, content)})


def submit_photo(client: httpx.Client, content: bytes, name: str = "photo.jpg") -> str:
    """Post one file that must be accepted, and return its task id."""
    response = upload(client, content, name)
    assert response.status_code == 202, response.text
    task_id: str = response.json()["task_id"]
    return task_id


def post_operation(client: httpx.Client, operation: str, content: bytes, **fields: object) -> httpx.Response:
    """Post one file with the fields of a form; an operation, or `upload`."""
    return client.post(f"/{operation}", files={"file": ("photo.png", content)}, data=fields)


def submit_operation(client: httpx.Client, operation: str, content: bytes, **fields: object) -> str:
    """Post one file with the fields of a form that must be accepted, and return its task id."""
    response = post_operation(client, operation, content, **fields)
    assert response.status_code == 202, response.text
    task_id: str = response.json()["task_id"]
    return task_id


def wait_for_image(client: httpx.Client, task_id: str, rendition: str = "") -> Image.Image:
    """Wait until the job is done, and return its main result, or one rendition, decoded."""
    job = wait_for_end(client, task_id)
    assert job["status"] == "done", job["failure"]
    return decode_image(client.get(f"/result/{task_id}/{rendition}".rstrip("/")).raise_for_status().content)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference, in levels, of the channel that differs most."""
    assert (one.size, one.mode) == (other.size, other.mode)
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


@contextmanager
def freeze_process(stack: Stack, name: str) -> Iterator[None]:
    """Keep a process from doing anything until the block ends; a worker's child goes on with what it has."""
    stack.signal(name, signal.SIGSTOP)
    try:
        yield
    finally:
        stack.signal(name, signal.SIGCONT)


def get_status(client: httpx.Client, task_id: str, *, wait: float = 0) -> dict[str, Any]:
    """Return the job: as it is, or once it has ended or that many seconds have passed."""
    parameters = {"wait": wait} if wait else {}
    found: dict[str, Any] = client.get(f"/task-status/{task_id}", params=parameters).raise_for_status().json()
    return found


def wait_for_end(client: httpx.Client, task_id: str, seconds: float = SECONDS) -> dict[str, Any]:
    """Wait until the job has ended, and return it."""
    job: dict[str, Any] = {}

    def has_ended() -> bool:
        job.update(get_status(client, task_id, wait=LONG_POLL_SECONDS))
        return job["status"] in ENDED

    wait_until(has_ended, f"job {task_id} to end", seconds)
    return job


def wait_for_all(client: httpx.Client, task_ids: Iterable[str], seconds: float = SECONDS) -> list[dict[str, Any]]:
    """Wait until every job has ended, on one deadline."""
    deadline = time.monotonic() + seconds
    return [wait_for_end(client, task_id, deadline - time.monotonic()) for task_id in task_ids]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Return once it is so; an AssertionError after the deadline."""
    deadline, pause = time.monotonic() + seconds, PAUSES[0]
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(pause)
        pause = min(pause * 1.2, PAUSES[1])


def skip_unless_own(stack: Stack, name: str) -> None:
    """Skip the test if the stack uses somebody else's server in the place of this process."""
    if name not in stack.processes:
        pytest.skip(f"the stack runs no {name} of its own that could be stopped")


def assert_in_order(stages: dict[str, Any], earlier: str, later: str) -> None:
    """Each worker reads the database's clock over the network, so two of them may differ by what that took."""
    finished, started = stages[earlier]["finished_at"], stages[later]["started_at"]
    assert datetime.fromisoformat(finished) <= datetime.fromisoformat(started) + CLOCK_ERROR

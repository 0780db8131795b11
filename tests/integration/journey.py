"""Steps that integration tests share: send photos in, wait for their jobs on a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx

ENDED = ("done", "failed", "dead", "cancelled")
SECONDS = 60.0


def upload(client: httpx.Client, content: bytes, name: str = "photo.jpg") -> httpx.Response:
    """Post one file."""
    return client.post("/upload", files={"file": (name, content)})


def accepted(client: httpx.Client, content: bytes, name: str = "photo.jpg") -> str:
    """Post one file that must be accepted, and return its task id."""
    response = upload(client, content, name)
    assert response.status_code == 202, response.text
    task_id: str = response.json()["task_id"]
    return task_id


def status(client: httpx.Client, task_id: str) -> dict[str, Any]:
    """Return the job."""
    found: dict[str, Any] = client.get(f"/task-status/{task_id}").raise_for_status().json()
    return found


def ended(client: httpx.Client, task_id: str, seconds: float = SECONDS) -> dict[str, Any]:
    """Wait until the job has ended, and return it."""
    job: dict[str, Any] = {}

    def has_ended() -> bool:
        job.update(status(client, task_id))
        return job["status"] in ENDED

    wait_until(has_ended, f"job {task_id} to end", seconds)
    return job


def all_ended(client: httpx.Client, task_ids: Iterable[str], seconds: float = SECONDS) -> list[dict[str, Any]]:
    """Wait until every job has ended, on one deadline."""
    deadline = time.monotonic() + seconds
    return [ended(client, task_id, deadline - time.monotonic()) for task_id in task_ids]


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Return once it is so; an AssertionError after the deadline."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.03)

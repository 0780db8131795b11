"""What the demo makes of the gateway's answers."""

from __future__ import annotations

import io
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from rich.console import Console

from deploy.local import demo_jobs
from deploy.local.demo_jobs import DemoJob, StallError, follow_jobs, submit_photo
from gateway.client import Client, Problem

TASK_ID = "01a20393-7178-742a-8954-a6e97ef610d9"
PENDING = {"state": "pending"}
RUNNING = {"state": "running", "queue_wait_ms": 12}
DONE = {"state": "done", "queue_wait_ms": 12, "run_ms": 34}


def _job(status: str, **stages: dict[str, Any]) -> dict[str, Any]:
    return {"task_id": TASK_ID, "kind": "upload", "status": status, "stages": stages}


def _follow(states: list[dict[str, Any]]) -> tuple[DemoJob, str]:
    """Follow a job that has these states one after another; it and what was printed."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=states.pop(0))

    output, job = io.StringIO(), DemoJob(photo=Path("photo.jpg"), task_id=TASK_ID)
    with Client("http://darkroom", transport=httpx.MockTransport(answer)) as client:
        follow_jobs(client, [job], Console(file=output, width=40))
    return job, output.getvalue()


def test_a_refused_photo_is_a_job_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"text")
    refusal = httpx.Response(415, json={"status": 415, "code": "unsupported", "detail": "This is no image."})

    with Client("http://darkroom", transport=httpx.MockTransport(lambda _: refusal)) as client:
        job = submit_photo(client, tmp_path / "photo.jpg")

    assert (job.refusal, job.task_id, job.stages) == ("This is no image.", "", {})


def test_each_change_of_a_stage_is_one_line() -> None:
    states = [
        _job("processing", validate=PENDING),
        _job("processing", validate=RUNNING),
        _job("processing", validate=RUNNING, small=PENDING),
        _job("done", validate=DONE, small=DONE),
    ]

    job, output = _follow(states)

    assert [line.split()[1:3] for line in output.splitlines()] == [
        ["validate", "running"],
        ["validate", "done"],
        ["small", "done"],
    ]
    assert job.status is not None
    assert job.status.status == "done"


def test_jobs_that_stall_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_jobs, "STALL_TIMEOUT_SECONDS", 0.02)
    is_over = Event()

    def answer(_: httpx.Request) -> httpx.Response:
        is_over.wait(0.001)
        return httpx.Response(200, json=_job("done" if is_over.is_set() else "processing", validate=RUNNING))

    with pytest.raises(StallError), Client("http://darkroom", transport=httpx.MockTransport(answer)) as client:
        follow_jobs(client, [DemoJob(photo=Path("photo.jpg"), task_id=TASK_ID)], Console(file=io.StringIO()))
    is_over.set()


def test_an_error_of_the_gateway_is_raised() -> None:
    with (
        pytest.raises(Problem),
        Client("http://darkroom", transport=httpx.MockTransport(lambda _: httpx.Response(404))) as client,
    ):
        follow_jobs(client, [DemoJob(photo=Path("photo.jpg"), task_id=TASK_ID)], Console(file=io.StringIO()))

"""GET /task-status and /result: states become statuses, and errors tell nothing of what is inside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import MagicMock

import httpx
import pytest
from pymongo.errors import AutoReconnect

from storage.documents import Failure, JobState, StageRecord, StageState
from storage.errors import JobNotFound
from tests.support.fakes import SHA256, new_job

MADE = {
    "blob": "x/small.1",
    "bytes": 5,
    "sha256": SHA256,
    "media_type": "image/jpeg",
    "format": "jpeg",
    "width": 1,
    "height": 1,
}
DONE = StageRecord(state=StageState.DONE, result=MADE)
FAILURE = Failure(stage="validate", code="image_corrupt", message="The image is damaged.")
READS = ["/task-status/1", "/result/1", "/result/1/small"]
INSIDE = "mongo-3.internal:27017 user=darkroom"


async def chunks() -> AsyncIterator[bytes]:
    yield b"bytes"


def finished(state: JobState, **fields: Any) -> Any:
    stages = dict.fromkeys(["small", "medium", "large"], DONE) if state is JobState.DONE else {}
    return new_job(state=state, stages=stages, **fields)


@pytest.mark.parametrize("state", list(JobState))
async def test_the_status_of_a_job_is_no_error_whatever_became_of_it(
    http: httpx.AsyncClient, jobs: MagicMock, state: JobState
) -> None:
    jobs.get.return_value = finished(state)

    answer = await http.get(f"/task-status/{jobs.get.return_value.id}")

    assert (answer.status_code, answer.json()["status"]) == (200, state)
    jobs.get.assert_awaited_once_with(jobs.get.return_value.id, owner=None, token_id=None)


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        (JobState.ACCEPTED, 409, "not_ready"),
        (JobState.PROCESSING, 409, "not_ready"),
        (JobState.FAILED, 409, "job_failed"),
        (JobState.DEAD, 409, "job_failed"),
        (JobState.CANCELLED, 409, "job_failed"),
    ],
)
async def test_without_a_result_the_state_says_why(
    http: httpx.AsyncClient, jobs: MagicMock, state: JobState, status: int, code: str
) -> None:
    jobs.get.return_value = finished(state, failure=FAILURE)

    answer = await http.get(f"/result/{jobs.get.return_value.id}")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (code == "not_ready")


async def test_a_result_is_the_bytes_that_the_record_names(
    http: httpx.AsyncClient, jobs: MagicMock, blobs: MagicMock
) -> None:
    jobs.get.return_value = finished(JobState.DONE)
    blobs.stream.return_value = chunks()

    answer = await http.get(f"/result/{jobs.get.return_value.id}/small")

    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"bytes", "image/jpeg")
    blobs.stream.assert_awaited_once_with("x/small.1", start=0, stop=5)


async def test_bytes_that_are_gone_are_gone(http: httpx.AsyncClient, jobs: MagicMock, blobs: MagicMock) -> None:
    jobs.get.return_value = finished(JobState.DONE)
    blobs.stream.side_effect = FileNotFoundError("/var/lib/darkroom/blobs/x/small.1")

    answer = await http.get(f"/result/{jobs.get.return_value.id}/small")

    assert (answer.status_code, answer.json()["code"]) == (410, "expired")
    assert "/var/lib" not in answer.text


@pytest.mark.parametrize("path", READS)
async def test_an_unknown_job_is_not_found(http: httpx.AsyncClient, jobs: MagicMock, path: str) -> None:
    jobs.get.side_effect = JobNotFound("1")

    answer = await http.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


@pytest.mark.parametrize("path", READS)
async def test_a_database_that_is_away_is_no_fault_of_the_client(
    http: httpx.AsyncClient, jobs: MagicMock, path: str
) -> None:
    jobs.get.side_effect = AutoReconnect(INSIDE)

    answer = await http.get(path)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "retry-after" in answer.headers
    assert "internal" not in answer.text


@pytest.mark.parametrize("path", READS)
async def test_a_bug_tells_nothing_of_what_is_inside(http: httpx.AsyncClient, jobs: MagicMock, path: str) -> None:
    jobs.get.side_effect = RuntimeError(INSIDE)

    answer = await http.get(path)

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert not {"internal", "RuntimeError", "Traceback"} & set(answer.text.replace(":", " ").replace('"', " ").split())


async def test_reading_publishes_nothing(http: httpx.AsyncClient, jobs: MagicMock, apply_async: MagicMock) -> None:
    jobs.get.return_value = finished(JobState.PROCESSING)

    for path in READS:
        await http.get(path)

    apply_async.assert_not_called()

"""The id of a request: whose it is, where it is told, and the one line about each request."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pymongo.errors import AutoReconnect
from starlette.datastructures import Headers
from structlog.contextvars import get_contextvars
from structlog.typing import EventDict

from gateway.middleware.access_log import request_id_of
from pipeline.canvas import root_id
from storage.blobs import Blobs
from storage.documents import Job, JobState, StageRecord, StageState
from tests.support.fakes import FakeBroker, FakeJobs, FakeStores, new_job

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
SAFE = ["a", "7f3b", "01a2038e-d790-75f7-b374-ec860def033a", "trace/1:2", "QUJD+w==", "a" * 128, "a.b_c~d"]
UNSAFE = ["", " ", "a b", "a" * 129, 'a"b', "a<b>", "a;b", "a,b", "\u00e9", "a\tb", "{{a}}", "${jndi:x}", "%0a"]
INVALID_TRACEPARENTS = [
    "",
    "00",
    TRACE,
    TRACEPARENT.upper(),
    TRACEPARENT.replace("00-", "ff-", 1),
    f"00-{'0' * 32}-00f067aa0ba902b7-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE[:-1]}-00f067aa0ba902b7-01",
    f"{TRACEPARENT}-more",
    f" {TRACEPARENT}",
]
ODD_ID = "odd"


class OddJobs(FakeJobs):
    """Jobs of which one breaks whoever asks for it, and another finds the database away."""

    async def get(self, job_id: str, *, owner: str | None = None, token_id: str | None = None) -> Job:
        if job_id == ODD_ID:
            raise ZeroDivisionError
        if job_id == "away":
            raise AutoReconnect
        return await super().get(job_id, owner=owner, token_id=token_id)


@pytest.fixture
def jobs() -> OddJobs:
    return OddJobs()


@pytest.fixture(autouse=True)
def broker() -> FakeBroker:
    return FakeBroker()


def _lines(logs: list[EventDict], event: str = "request.served") -> list[EventDict]:
    return [line for line in logs if line["event"] == event]


@pytest.mark.parametrize("given", SAFE)
def test_a_safe_id_is_taken(given: str) -> None:
    assert request_id_of(Headers({"x-request-id": given})) == given


@pytest.mark.parametrize("given", UNSAFE)
def test_an_unsafe_id_is_not_taken(given: str) -> None:
    assert request_id_of(Headers(raw=[(b"x-request-id", given.encode("latin-1"))])) is None


@pytest.mark.parametrize(
    "given", [TRACEPARENT, f"01-{TRACE}-00f067aa0ba902b7-00-more", f"cc-{TRACE}-00f067aa0ba902b7-01"]
)
def test_without_an_id_a_request_has_that_of_its_trace(given: str) -> None:
    assert request_id_of(Headers({"traceparent": given})) == TRACE


@pytest.mark.parametrize("given", INVALID_TRACEPARENTS)
def test_a_traceparent_that_is_none_names_nothing(given: str) -> None:
    assert request_id_of(Headers({"traceparent": given})) is None


def test_an_id_goes_before_a_trace() -> None:
    assert request_id_of(Headers({"x-request-id": "mine", "traceparent": TRACEPARENT})) == "mine"


async def test_the_answer_tells_the_id_that_was_given(http: httpx.AsyncClient) -> None:
    answer = await http.get("/capabilities", headers={"X-Request-ID": "mine"})

    assert answer.headers.get_list("x-request-id") == ["mine"]


async def test_each_request_without_an_id_gets_one_of_its_own(http: httpx.AsyncClient) -> None:
    ids = {(await http.get("/capabilities")).headers["x-request-id"] for _ in range(3)}

    assert len(ids) == 3
    assert all(request_id_of(Headers({"x-request-id": each})) for each in ids)


async def test_an_unsafe_id_is_replaced(http: httpx.AsyncClient) -> None:
    answer = await http.get("/capabilities", headers={"X-Request-ID": "a b"})

    assert answer.headers["x-request-id"] not in {"", "a b"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/task-status/nobody", 404),
        ("PUT", "/upload", 405),
        ("GET", "/jobs?limit=0", 422),
        ("POST", "/upload", 415),
        ("GET", "/task-status/odd", 500),
        ("GET", "/task-status/away", 503),
    ],
)
async def test_a_problem_tells_the_id_in_its_headers_and_in_its_body(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path, headers={"X-Request-ID": "mine"})

    assert answer.status_code == status
    assert answer.headers.get_list("x-request-id") == ["mine"]
    assert answer.json()["request_id"] == "mine"


async def test_a_streamed_answer_tells_the_id(http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs) -> None:
    made = {"blob": "job/small.1", "format": "jpeg", "media_type": "image/jpeg", "width": 1, "height": 1}
    record = StageRecord(state=StageState.DONE, result=made | {"bytes": 9, "sha256": "0" * 64})
    await jobs.insert(new_job(id="job", state=JobState.PROCESSING, stages={"small": record}))
    blobs.put("job/small.1", b"some image")

    answer = await http.get("/result/job/small", headers={"X-Request-ID": "mine"})

    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "mine")


async def test_the_line_about_a_request_says_what_came_in_and_went_out(
    http: httpx.AsyncClient, logs: list[EventDict]
) -> None:
    answer = await http.post("/upload", content=b"no form", headers={"Content-Type": "multipart/form-data; boundary=b"})

    [line] = _lines(logs)
    assert (line["method"], line["route"], line["status"]) == ("POST", "/upload", answer.status_code)
    assert line["bytes_in"] == len(b"no form")
    assert line["ms"] >= 0


async def test_a_job_tried_again_keeps_the_id_of_its_first_request(
    http: httpx.AsyncClient, jobs: FakeJobs, broker: FakeBroker, logs: list[EventDict]
) -> None:
    job = new_job(state=JobState.DEAD, request_id="first", finished_ms=1)
    await jobs.insert(job)

    await http.post(f"/jobs/{job.id}/retry", headers={"X-Request-ID": "second"})

    retried = await jobs.get(job.id)
    [line], [message] = _lines(logs, "job.retried"), broker.take_messages()
    assert (retried.request_id, line["job_request_id"]) == ("first", "first")
    assert (message.headers["id"], message.headers["request_id"]) == (root_id(retried), "first")


@pytest.mark.parametrize("kept", [StageState.DONE, None], ids=["removed", "cancelled"])
async def test_the_end_of_a_job_by_hand_is_logged(
    http: httpx.AsyncClient, jobs: FakeJobs, logs: list[EventDict], kept: StageState | None
) -> None:
    job = new_job(state=JobState.DONE if kept else JobState.ACCEPTED, request_id="first", finished_ms=1)
    await jobs.insert(job)

    await http.delete(f"/jobs/{job.id}")

    [line] = _lines(logs, "job.removed" if kept else "job.cancelled")
    assert (line["task_id"], line["job_request_id"]) == (job.id, "first")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (
            "/task-status/nobody?wait=0",
            {"route": "/task-status/{task_id}", "task_id": "nobody", "code": "job_not_found"},
        ),
        ("/nowhere?key=secret", {"path": "/nowhere", "code": "not_found"}),
        (f"/task-status/{ODD_ID}", {"route": "/task-status/{task_id}", "task_id": ODD_ID, "code": "internal_error"}),
    ],
)
async def test_the_line_about_a_request_says_what_was_asked_and_why_it_failed(
    http: httpx.AsyncClient, logs: list[EventDict], path: str, told: dict[str, Any]
) -> None:
    answer = await http.get(path)

    [line] = _lines(logs)
    about = {"event", "log_level", "method", "status", "ms", "bytes_in"}
    assert line["status"] == answer.status_code
    assert {name: value for name, value in line.items() if name not in about} == told


async def test_a_long_path_is_cut(http: httpx.AsyncClient, logs: list[EventDict]) -> None:
    await http.get("/" + "x" * 5000)

    [line] = _lines(logs)
    assert len(line["path"]) == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_a_probe_that_finds_all_well_is_not_logged(
    http: httpx.AsyncClient, logs: list[EventDict], path: str
) -> None:
    answer = await http.get(path)

    assert answer.is_success
    assert not _lines(logs)


class TestAway:
    """With the database away."""

    @pytest.fixture
    def stores(self, jobs: FakeJobs, blobs: Blobs) -> FakeStores:
        return FakeStores(jobs, blobs, ping_error=AutoReconnect("away"))

    async def test_a_probe_that_fails_is_logged(self, http: httpx.AsyncClient, logs: list[EventDict]) -> None:
        await http.get("/readyz")

        [line] = _lines(logs)
        assert (line["route"], line["status"]) == ("/readyz", 503)


async def test_an_error_that_nobody_answered_is_logged_under_the_id_of_its_request(http: httpx.AsyncClient) -> None:
    await http.get(f"/task-status/{ODD_ID}", headers={"X-Request-ID": "mine"})

    assert get_contextvars()["request_id"] == "mine"  # where the server goes on to log it

"""HEAD where GET is, OPTIONS on every path, and Allow."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from gateway.app import create_app
from storage.documents import Job, JobState
from tests.support.fakes import SHA256, FakeJobs, new_job
from tests.unit.gateway.conftest import SETTINGS

PATHS = ["/livez", "/readyz", "/metrics", "/capabilities", "/jobs", "/task-status/job", "/docs", "/openapi.json", "/"]


@pytest.fixture
async def job(jobs: FakeJobs) -> Job:
    job = new_job(id="job", state=JobState.DONE)
    await jobs.insert(job)
    return job


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize("path", [*PATHS, "/task-status/nobody", "/jobs?limit=0", "/result/nobody"])
async def test_head_has_the_status_and_the_headers_of_get(http: httpx.AsyncClient, path: str) -> None:
    http.headers["X-Request-ID"] = "the-same"
    timed = {"content-length"} if path in {"/readyz", "/metrics"} else set()  # durations and counts

    whole, head = await http.get(path), await http.head(path)

    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers.keys() == whole.headers.keys()
    assert {name: head.headers[name] for name in whole.headers.keys() - timed} == {
        name: whole.headers[name] for name in whole.headers.keys() - timed
    }


async def test_head_of_a_stream_ends_at_once(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    await jobs.insert(new_job(id="job", state=JobState.PROCESSING))

    answer = await http.head("/task-status/job/events")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert "content-length" not in answer.headers


def test_every_path_with_get_has_head_which_the_document_leaves_out(app: FastAPI) -> None:
    routes = [(route.path, route.methods or set()) for route in iter_route_contexts(app.routes)]
    documented = app.openapi()["paths"]
    uploads = {"/files/{task_id}"}  # they have HEAD alone

    assert {path for path, methods in routes if "GET" in methods} | uploads == {
        path for path, methods in routes if "HEAD" in methods
    }
    assert {path for path, methods in documented.items() if "head" in methods} == uploads


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/upload", "OPTIONS, POST"),
        ("/jobs", "GET, HEAD, OPTIONS"),
        ("/jobs/job", "DELETE, OPTIONS"),
        ("/jobs/job/retry", "OPTIONS, POST"),
        ("/jobs/job/reprocess", "OPTIONS, POST"),
        ("/task-status/job", "GET, HEAD, OPTIONS"),
        ("/task-status/job/events", "GET, HEAD, OPTIONS"),
        ("/result/job/small", "GET, HEAD, OPTIONS"),
        ("/metrics", "GET, HEAD, OPTIONS"),
        ("/docs", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_lists_the_methods_of_a_path(http: httpx.AsyncClient, path: str, allow: str) -> None:
    options, wrong = await http.options(path), await http.patch(path)

    assert (options.status_code, options.content, options.headers["allow"]) == (204, b"", allow)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, allow)


async def test_options_of_an_unknown_path_is_not_found(http: httpx.AsyncClient) -> None:
    assert (await http.options("/nowhere")).status_code == 404


async def test_options_needs_no_key() -> None:
    guarded = create_app(SETTINGS.model_copy(update={"api_keys": {"ann": SHA256}}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://localhost") as stranger:
        assert (await stranger.options("/jobs")).status_code == 204
        assert (await stranger.head("/jobs")).status_code == 401
        metrics = (await stranger.get("/metrics")).text

    assert 'http_requests_total{method="HEAD",route="/jobs",status="401"} 1.0' in metrics

"""The gateway's metrics, asked over fakes: what is counted, under which labels, and what is not."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import READ_SECONDS, GatewayMetrics
from gateway.routing import UNMATCHED
from storage.documents import Job, Kind, StageState
from tests.support.fakes import FakeJobs, form, new_job, part


class Counted:
    """What the gateway's registry holds, less what it held when the test began."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._before = self._read()

    def __call__(self, name: str, **labels: str) -> float:
        key = (f"darkroom_{name}", tuple(sorted(labels.items())))
        return self._read().get(key, 0) - self._before.get(key, 0)

    def _read(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self._registry.collect()
            for sample in family.samples
        }


@pytest.fixture
def counted(app: FastAPI) -> Counted:
    return Counted(app.state.metrics.registry)


async def test_a_request_is_counted_by_its_routes_template(http: httpx.AsyncClient, counted: Counted) -> None:
    await http.get("/task-status/01a20370-8c00-7071-809b-98e45687a6a1")
    await http.get("/task-status/another")

    route = {"method": "GET", "route": "/task-status/{task_id}"}
    assert counted("http_requests_total", status="404", **route) == 2
    assert counted("http_request_duration_seconds_count", **route) == 2


async def test_paths_that_no_route_takes_are_one_series(http: httpx.AsyncClient, counted: Counted) -> None:
    for path in ("/wp-login.php", "/.env", "/nowhere/at/all"):
        await http.get(path)

    assert counted("http_requests_total", method="GET", route=UNMATCHED, status="404") == 3


async def test_methods_that_nobody_knows_are_one_series(http: httpx.AsyncClient, counted: Counted) -> None:
    for method in ("BREW", "WHEN"):
        await http.request(method, "/jobs")

    assert counted("http_requests_total", method="OTHER", route="/jobs", status="405") == 2


async def test_a_problem_is_counted_by_its_code(http: httpx.AsyncClient, counted: Counted) -> None:
    await http.get("/task-status/nobody")
    await http.get("/jobs", params={"cursor": "?"})

    assert counted("http_problems_total", code="job_not_found") == 1
    assert counted("http_problems_total", code="invalid_cursor") == 1


async def test_an_answer_that_is_no_problem_is_not_counted_as_one(http: httpx.AsyncClient, counted: Counted) -> None:
    await http.get("/livez")

    assert counted("http_requests_total", method="GET", route="/livez", status="200") == 1
    assert not [code for code in ("ok", "not_found", "None") if counted("http_problems_total", code=code)]


async def test_no_request_is_in_progress_once_all_are_answered(http: httpx.AsyncClient, counted: Counted) -> None:
    await http.get("/livez")

    assert counted("http_requests_in_progress") == 0


async def test_a_refused_upload_is_a_refused_submission(http: httpx.AsyncClient, counted: Counted) -> None:
    body = form(part("file", b"GIF87a but not an image", filename="a.txt"))

    answer = await http.post("/crop", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})

    assert answer.status_code >= 400
    assert counted("jobs_submitted_total", kind="crop", result="refused") == 1
    assert counted("jobs_submitted_total", kind="crop", result="accepted") == 0


async def test_a_cancelled_job_has_ended(http: httpx.AsyncClient, jobs: FakeJobs, counted: Counted) -> None:
    job = new_job()
    await jobs.insert(job)

    await http.delete(f"/jobs/{job.id}")

    assert counted("job_end_to_end_seconds_count", kind=job.kind, result="cancelled", lane="express") == 1


async def test_metrics_are_served_as_prometheus_reads_them(http: httpx.AsyncClient) -> None:
    answer = await http.get("/metrics")

    families = {family.name for family in text_string_to_metric_families(answer.text)}
    assert answer.headers["content-type"].startswith("text/plain")
    assert {"darkroom_http_requests", "darkroom_sweeper_redispatched", "process_resident_memory_bytes"} <= families


def test_every_kind_of_submission_is_there_before_the_first_one() -> None:
    registry = GatewayMetrics().registry

    series = {
        (sample.labels["kind"], sample.labels["result"])
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "darkroom_jobs_submitted_total"
    }

    assert series == {(kind, result) for kind in Kind for result in ("accepted", "deduplicated", "replayed", "refused")}


async def test_the_sweeper_tells_jobs_nobody_took_up_from_those_that_stood_still() -> None:
    metrics = GatewayMetrics()
    unclaimed, stalled = new_job(), new_job()
    stalled.stages["validate"].attempts, stalled.stages["validate"].state = 1, StageState.RUNNING

    metrics.sweeper.count_redispatch(unclaimed)
    metrics.sweeper.count_redispatch(stalled)
    metrics.sweeper.count_redispatch(stalled)

    told = {
        reason: metrics.registry.get_sample_value("darkroom_sweeper_redispatched_total", {"reason": reason})
        for reason in ("unclaimed", "stalled")
    }
    assert told == {"unclaimed": 1, "stalled": 2}


class BrokenJobs(FakeJobs):
    """Jobs whose code has a bug."""

    async def get(self, job_id: str, *, owner: str | None = None, token_id: str | None = None) -> Job:
        raise KeyError(job_id, owner, token_id)


class TestABug:
    """In a route."""

    @pytest.fixture
    def jobs(self) -> BrokenJobs:
        return BrokenJobs()

    async def test_is_counted_as_a_500_and_by_its_code(self, http: httpx.AsyncClient, counted: Counted) -> None:
        answer = await http.get("/task-status/any")

        assert counted("http_requests_total", method="GET", route="/task-status/{task_id}", status="500") == 1
        assert counted("http_problems_total", code=answer.json()["code"]) == 1


async def test_who_reads_the_metrics_is_known_for_a_while(http: httpx.AsyncClient, app: FastAPI) -> None:
    app.state.metrics._read_at = -READ_SECONDS
    before = app.state.metrics.are_read

    await http.get("/metrics")

    assert (before, app.state.metrics.are_read) == (False, True)

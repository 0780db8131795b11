"""Owners: where keys are set, each sees, ends and serves their own jobs, and nobody else's."""

from __future__ import annotations

from hashlib import sha256

import httpx
import pytest
from fastapi import FastAPI

from gateway.app import create_app
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.documents import Job, JobState, Kind, StageRecord, StageState
from tests.support.fakes import OUTPUT, UNREACHABLE_URL, FakeJobs, new_job

ADA_KEY, ZOE_KEY = {"Authorization": "Bearer ada's key"}, {"X-API-Key": "zoe's key"}
KEYS = {owner: sha256(f"{owner}'s key".encode()).hexdigest() for owner in ("ada", "zoe")}
EVERY_WAY = pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/task-status/hers"),
        ("GET", "/result/hers"),
        ("HEAD", "/result/hers"),
        ("GET", "/result/hers/output"),
        ("HEAD", "/result/hers/output"),
        ("POST", "/jobs/hers/retry"),
        ("POST", "/jobs/hers/reprocess"),
        ("DELETE", "/jobs/hers"),
    ],
    ids=lambda part: part.replace("/", " ").strip(),
)


@pytest.fixture(scope="session")
def app() -> FastAPI:
    """A gateway with keys."""
    return create_app(Settings(redis_url="memory://", result_url=UNREACHABLE_URL, blob_url="memory:///", api_keys=KEYS))


@pytest.fixture(autouse=True)
async def hers(jobs: FakeJobs, blobs: Blobs) -> Job:
    """A finished job of Ada's."""
    made = StageRecord(state=StageState.DONE, result=OUTPUT)
    job = new_job(Kind.CROP, id="hers", owner="ada", state=JobState.DONE, stages={"transform": made})
    await jobs.insert(job)
    blobs.put("hers/output.1", b"output")
    return job


@EVERY_WAY
async def test_an_owner_finds_their_job(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path, headers=ADA_KEY)

    assert answer.status_code in {200, 204, 409}  # 409: it is not dead


@EVERY_WAY
async def test_another_does_not(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path, headers=ZOE_KEY)

    assert answer.status_code == 404


@EVERY_WAY
async def test_a_job_of_another_is_as_unknown_as_one_that_never_was(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    headers = ZOE_KEY | {"X-Request-ID": "the-same"}

    theirs = await http.request(method, path, headers=headers)
    nobodys = await http.request(method, path.replace("hers", "nobody"), headers=headers)

    assert (theirs.status_code, theirs.text.replace("hers", "nobody")) == (nobodys.status_code, nobodys.text)


@EVERY_WAY
async def test_without_a_key_there_is_no_asking(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path)

    assert answer.status_code == 401


@EVERY_WAY
async def test_another_leaves_a_job_as_it_is(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, hers: Job, method: str, path: str
) -> None:
    await http.request(method, path, headers=ZOE_KEY)

    assert (await jobs.get("hers"), blobs.list_names("hers")) == (hers, ["output.1"])


@pytest.mark.parametrize(("headers", "found"), [(ADA_KEY, ["hers"]), (ZOE_KEY, [])], ids=["ada", "zoe"])
async def test_a_list_is_of_the_owners_jobs(http: httpx.AsyncClient, headers: dict[str, str], found: list[str]) -> None:
    answer = await http.get("/jobs", headers=headers)

    assert [job["task_id"] for job in answer.json()["jobs"]] == found


@pytest.mark.parametrize("path", ["/upload", "/crop", "/grayscale", "/resize", "/process"])
async def test_work_is_taken_from_owners_alone(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.post(path)).status_code == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/docs", "/docs/start.js", "/openapi.json"])
async def test_probes_and_docs_need_no_key(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/jobs", "/capabilities", "/docs/nothing", "/nowhere"])
async def test_everything_else_does(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 401

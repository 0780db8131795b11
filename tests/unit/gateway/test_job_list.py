"""The list of jobs over HTTP: its pages, its filters, its cursors."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import httpx
import pytest

from storage.documents import Failure, Job, JobState, Kind
from tests.support.fakes import FakeJobs, new_job, new_job_id


async def accepted(jobs: FakeJobs, kind: Kind = Kind.PREVIEWS, **fields: Any) -> Job:
    job = new_job(kind, **fields)
    await jobs.insert(job)
    return job


async def some(jobs: FakeJobs, number: int) -> list[str]:
    """Accept so many jobs, a second between them, and return their ids from the youngest."""
    return [(await accepted(jobs, id=new_job_id(at_ms=second * 1000))).id for second in range(number)][::-1]


def ids(answer: httpx.Response) -> list[str]:
    return [job["task_id"] for job in answer.json()["jobs"]]


async def test_where_there_are_no_jobs_the_list_is_empty(http: httpx.AsyncClient) -> None:
    answer = await http.get("/jobs")

    assert (answer.status_code, answer.json()) == (200, {"jobs": [], "next": None})


async def test_the_youngest_job_comes_first(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    made = await some(jobs, 3)

    assert ids(await http.get("/jobs")) == made


async def test_a_page_is_twenty_jobs_unless_it_is_said(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    made = await some(jobs, 21)

    assert ids(await http.get("/jobs")) == made[:20]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_a_page_is_as_long_as_is_said(http: httpx.AsyncClient, jobs: FakeJobs, limit: int) -> None:
    made = await some(jobs, 3)

    assert ids(await http.get("/jobs", params={"limit": limit})) == made[:limit]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many"])
async def test_a_page_has_its_bounds(http: httpx.AsyncClient, limit: str) -> None:
    answer = await http.get("/jobs", params={"limit": limit})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/limit")


@pytest.mark.parametrize("number", [1, 4, 5, 6])
async def test_following_the_cursor_every_job_is_seen_once(
    http: httpx.AsyncClient, jobs: FakeJobs, number: int
) -> None:
    made = await some(jobs, number)

    answer = await http.get("/jobs", params={"limit": 2})
    seen = ids(answer)
    while answer.json()["next"]:
        answer = await http.get("/jobs", params={"limit": 2, "cursor": answer.json()["next"]})
        seen += ids(answer)

    assert seen == made


@pytest.mark.parametrize(("number", "is_last"), [(1, True), (2, True), (3, False)])
async def test_the_last_page_has_no_cursor(http: httpx.AsyncClient, jobs: FakeJobs, number: int, is_last: bool) -> None:
    await some(jobs, number)

    answer = await http.get("/jobs", params={"limit": 2})

    assert (answer.json()["next"] is None) == is_last


async def test_a_cursor_goes_with_a_filter(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    made = [await accepted(jobs, kind, id=new_job_id(at_ms=i * 1000)) for i, kind in enumerate([*Kind, *Kind])]
    crops = [job.id for job in made if job.kind is Kind.CROP][::-1]

    first = await http.get("/jobs", params={"kind": "crop", "limit": 1})
    second = await http.get("/jobs", params={"kind": "crop", "limit": 1, "cursor": first.json()["next"]})

    assert (ids(first) + ids(second), second.json()["next"]) == (crops, None)


JOB_ID = "01a20370-8c00-7071-809b-98e45687a6a1"


def encode_image(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "junk",
        "a",
        "=",
        "====",
        "%00",
        "Käse",
        "..",
        encode_image("nobody"),
        encode_image("1"),
        encode_image('{"$gt": ""}'),
        urlsafe_b64encode(b"\xff\xfe" * 16).decode(),
        JOB_ID,
        encode_image(JOB_ID)[:-4],
    ],
)
async def test_a_cursor_that_is_not_ours_is_refused(http: httpx.AsyncClient, cursor: str) -> None:
    answer = await http.get("/jobs", params={"cursor": cursor})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_an_empty_cursor_is_of_the_first_page(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    made = await some(jobs, 2)

    assert ids(await http.get("/jobs", params={"cursor": ""})) == made


async def test_a_cursor_of_no_end_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get("/jobs", params={"cursor": "a" * 101})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/cursor")


@pytest.mark.parametrize("state", list(JobState))
async def test_a_list_can_be_of_one_status(http: httpx.AsyncClient, jobs: FakeJobs, state: JobState) -> None:
    made = {each: (await accepted(jobs, state=each)).id for each in JobState}

    assert ids(await http.get("/jobs", params={"status": state.value})) == [made[state]]


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_list_can_be_of_one_kind(http: httpx.AsyncClient, jobs: FakeJobs, kind: Kind) -> None:
    made = {each: (await accepted(jobs, each)).id for each in Kind}

    assert ids(await http.get("/jobs", params={"kind": kind.value})) == [made[kind]]


@pytest.mark.parametrize("params", [{"status": "lost"}, {"kind": "sepia"}], ids=["status", "kind"])
async def test_a_list_of_what_there_is_not_is_refused(http: httpx.AsyncClient, params: dict[str, str]) -> None:
    answer = await http.get("/jobs", params=params)

    [name] = params
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/query/{name}")


async def test_a_job_in_a_list_says_what_it_is(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    failure = Failure(stage="validate", code="image_corrupt", message="It is damaged.")
    job = await accepted(jobs, Kind.CROP, state=JobState.FAILED, finished_ms=1_700_000_000_123, failure=failure)

    [shown] = (await http.get("/jobs")).json()["jobs"]

    assert {**shown, "created_at": None} == {
        "task_id": job.id,
        "kind": "crop",
        "status": "failed",
        "created_at": None,
        "finished_at": "2023-11-14T22:13:20.123000Z",
        "reprocessed_at": None,
        "name": "cat.jpg",
        "failure": failure.model_dump(),
        "placeholder": None,
        "preview": None,
        "metadata": {},
        "links": {"status": f"/task-status/{job.id}", "result": f"/result/{job.id}"},
    }

"""One job, asked for over HTTP."""

from __future__ import annotations

import httpx
import pytest

from storage.documents import JobState
from tests.fakes import FakeJobs, new_job

ENDED = [JobState.DONE, JobState.FAILED, JobState.DEAD, JobState.CANCELLED]


async def test_a_job_is_shown(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    job = new_job()
    await jobs.accept(job)

    answer = await http.get(f"/task-status/{job.id}")

    assert (answer.status_code, answer.json()["task_id"]) == (200, job.id)


@pytest.mark.parametrize("state", list(JobState))
async def test_a_job_is_shown_whatever_became_of_it(http: httpx.AsyncClient, jobs: FakeJobs, state: JobState) -> None:
    job = new_job(state=state)
    await jobs.accept(job)

    answer = await http.get(f"/task-status/{job.id}")

    assert (answer.status_code, answer.json()["status"]) == (200, state)


async def test_an_unknown_job_is_not_found(http: httpx.AsyncClient) -> None:
    answer = await http.get("/task-status/nobody")

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


async def test_a_job_under_way_says_when_to_ask_again(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    job = new_job()
    await jobs.accept(job)

    assert (await http.get(f"/task-status/{job.id}")).headers["retry-after"] == "1"


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_that_ended_need_not_be_asked_for_again(
    http: httpx.AsyncClient, jobs: FakeJobs, state: JobState
) -> None:
    job = new_job(state=state)
    await jobs.accept(job)

    assert "retry-after" not in (await http.get(f"/task-status/{job.id}")).headers


async def test_a_status_is_not_kept_by_caches(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    job = new_job()
    await jobs.accept(job)

    assert (await http.get(f"/task-status/{job.id}")).headers["cache-control"] == "no-cache"

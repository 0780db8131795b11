"""One job, asked for over HTTP: at once, or once there is news."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import httpx
import pytest
from fastapi import FastAPI

from storage.documents import Job, JobState
from tests.support.fakes import FakeJobs, new_job

POLL_INTERVAL_SECONDS = 0.01  # of the feed in these tests
ENDED = [JobState.DONE, JobState.FAILED, JobState.DEAD, JobState.CANCELLED]


async def test_a_job_is_shown(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    job = new_job()
    await jobs.insert(job)

    answer = await http.get(f"/task-status/{job.id}")

    assert (answer.status_code, answer.json()["task_id"]) == (200, job.id)


@pytest.mark.parametrize("state", list(JobState))
async def test_a_job_is_shown_whatever_became_of_it(http: httpx.AsyncClient, jobs: FakeJobs, state: JobState) -> None:
    job = new_job(state=state)
    await jobs.insert(job)

    answer = await http.get(f"/task-status/{job.id}")

    assert (answer.status_code, answer.json()["status"]) == (200, state)


async def test_an_unknown_job_is_not_found(http: httpx.AsyncClient) -> None:
    answer = await http.get("/task-status/nobody")

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


async def test_a_job_under_way_says_when_to_ask_again(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    job = new_job()
    await jobs.insert(job)

    assert (await http.get(f"/task-status/{job.id}")).headers["retry-after"] == "1"


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_that_ended_need_not_be_asked_for_again(
    http: httpx.AsyncClient, jobs: FakeJobs, state: JobState
) -> None:
    job = new_job(state=state)
    await jobs.insert(job)

    assert "retry-after" not in (await http.get(f"/task-status/{job.id}")).headers


async def test_a_status_is_not_kept_by_caches(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    job = new_job()
    await jobs.insert(job)

    assert (await http.get(f"/task-status/{job.id}")).headers["cache-control"] == "no-cache"


@pytest.fixture
async def job(jobs: FakeJobs) -> Job:
    """A job that has just been accepted."""
    job = new_job()
    await jobs.insert(job)
    return job


class ChangingJobs(FakeJobs):
    """Jobs of which something happens once they are watched."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = 0
        self.ends = False

    async def get_versions(self, job_ids: Collection[str]) -> dict[str, int]:
        self.rounds += bool(job_ids)
        if job_ids and self.rounds == 1:
            job = await self.get(next(iter(job_ids)))
            await (self.cancel(job) if self.ends else self.redispatch(job, next_dispatch_ms=1))
        return await super().get_versions(job_ids)


class TestWaiting:
    """With one change, and no other."""

    @pytest.fixture
    def jobs(self) -> ChangingJobs:
        return ChangingJobs()

    async def test_is_over_when_the_job_has_ended(self, http: httpx.AsyncClient, jobs: ChangingJobs, job: Job) -> None:
        jobs.ends = True

        answer = await http.get(f"/task-status/{job.id}", params={"wait": 30})

        assert (answer.json()["status"], jobs.rounds) == ("cancelled", 1)

    async def test_for_news_is_over_when_there_is_any(
        self, http: httpx.AsyncClient, jobs: ChangingJobs, job: Job
    ) -> None:
        known = (await http.get(f"/task-status/{job.id}")).headers["etag"]

        answer = await http.get(f"/task-status/{job.id}", params={"wait": 30}, headers={"If-None-Match": known})

        assert (answer.status_code, answer.json()["generation"], jobs.rounds) == (200, 1, 1)

    async def test_for_the_end_is_not_over_with_other_news(
        self, http: httpx.AsyncClient, jobs: ChangingJobs, job: Job
    ) -> None:
        answer = await http.get(f"/task-status/{job.id}", params={"wait": 10 * POLL_INTERVAL_SECONDS})

        assert jobs.rounds > 2
        assert (answer.json()["status"], answer.json()["generation"]) == ("accepted", 1)


async def test_a_job_that_is_not_waited_for_is_not_watched(http: httpx.AsyncClient, app: FastAPI, job: Job) -> None:
    await http.get(f"/task-status/{job.id}")

    assert app.state.feed.watched_count == 0


async def test_waiting_in_vain_for_news_ends_with_none(http: httpx.AsyncClient, job: Job) -> None:
    known = (await http.get(f"/task-status/{job.id}")).headers["etag"]

    answer = await http.get(f"/task-status/{job.id}", params={"wait": 0.1}, headers={"If-None-Match": known})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", known)


@pytest.mark.parametrize("state", ENDED)
@pytest.mark.parametrize("is_known", [True, False])
async def test_a_job_that_ended_is_not_waited_for(
    http: httpx.AsyncClient, jobs: FakeJobs, state: JobState, is_known: bool
) -> None:
    job = new_job(state=state)
    await jobs.insert(job)
    known = (await http.get(f"/task-status/{job.id}")).headers["etag"] if is_known else '"something else"'

    async with asyncio.timeout(5):
        answer = await http.get(f"/task-status/{job.id}", params={"wait": 60}, headers={"If-None-Match": known})

    assert answer.status_code == (304 if is_known else 200)


async def test_news_that_came_before_are_not_waited_for(http: httpx.AsyncClient, job: Job) -> None:
    async with asyncio.timeout(5):
        answer = await http.get(
            f"/task-status/{job.id}", params={"wait": 60}, headers={"If-None-Match": 'W/"accepted-0-1"'}
        )

    assert answer.status_code == 200


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "soon"])
async def test_a_wait_has_its_bounds(http: httpx.AsyncClient, job: Job, wait: str) -> None:
    answer = await http.get(f"/task-status/{job.id}", params={"wait": wait})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/wait")


async def test_an_unknown_job_is_not_waited_for(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(5):
        answer = await http.get("/task-status/nobody", params={"wait": 60})

    assert answer.status_code == 404


async def test_a_job_that_did_not_change_is_not_sent_again(http: httpx.AsyncClient, job: Job) -> None:
    known = (await http.get(f"/task-status/{job.id}")).headers["etag"]

    answer = await http.get(f"/task-status/{job.id}", headers={"If-None-Match": known})

    assert (answer.status_code, answer.content) == (304, b"")


async def test_a_job_that_did_not_change_says_when_to_ask_again(http: httpx.AsyncClient, job: Job) -> None:
    known = (await http.get(f"/task-status/{job.id}")).headers["etag"]

    answer = await http.get(f"/task-status/{job.id}", headers={"If-None-Match": known})

    assert answer.headers["retry-after"] == "1"


async def test_a_status_has_a_weak_tag(http: httpx.AsyncClient, job: Job) -> None:
    assert (await http.get(f"/task-status/{job.id}")).headers["etag"].startswith('W/"')


async def test_a_job_that_moved_has_another_tag(http: httpx.AsyncClient, jobs: FakeJobs, job: Job) -> None:
    before = (await http.get(f"/task-status/{job.id}")).headers["etag"]

    await jobs.redispatch(job, next_dispatch_ms=1)

    assert (await http.get(f"/task-status/{job.id}")).headers["etag"] != before

"""Trying a dead job again, and removing one, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Job, JobState, StageRecord, StageState
from storage.errors import JobNotFound
from tests.support.fakes import FakeBroker, FakeJobs, new_job

ACTIVE_STATES = [JobState.ACCEPTED, JobState.PROCESSING]
ENDED = [JobState.DONE, JobState.FAILED, JobState.DEAD, JobState.CANCELLED]
DONE = StageRecord(state=StageState.DONE, attempts=1, result={"width": 640})
SPENT = StageRecord(state=StageState.FAILED, attempts=5, error="crash")

pytestmark = pytest.mark.usefixtures("broker")


async def accepted(jobs: FakeJobs, blobs: Blobs, **fields: Any) -> Job:
    """Accept a job that keeps its original."""
    job = new_job(**fields)
    await jobs.insert(job)
    blobs.put(job.original.blob, b"original")
    return job


@pytest.fixture
async def dead(jobs: FakeJobs, blobs: Blobs) -> Job:
    stages = {"validate": DONE, "normalize": SPENT}
    return await accepted(jobs, blobs, state=JobState.DEAD, stages=stages, finished_ms=1)


async def test_a_dead_job_is_tried_again(http: httpx.AsyncClient, dead: Job) -> None:
    answer = await http.post(f"/jobs/{dead.id}/retry")

    assert (answer.status_code, answer.json()["task_id"], answer.json()["status"]) == (202, dead.id, "processing")


async def test_a_job_tried_again_says_where_to_look(http: httpx.AsyncClient, dead: Job) -> None:
    answer = await http.post(f"/jobs/{dead.id}/retry")

    assert answer.headers["location"] == answer.json()["links"]["status"] == f"/task-status/{dead.id}"


async def test_a_job_tried_again_is_published_under_its_next_generation(
    http: httpx.AsyncClient, dead: Job, broker: FakeBroker
) -> None:
    await http.post(f"/jobs/{dead.id}/retry")

    assert [message.headers["id"] for message in broker.take_messages()] == [f"{dead.id}.1"]


async def test_a_job_tried_again_keeps_what_is_done(http: httpx.AsyncClient, jobs: FakeJobs, dead: Job) -> None:
    await http.post(f"/jobs/{dead.id}/retry")

    stages = (await jobs.get(dead.id)).stages
    assert (stages["validate"], stages["normalize"].state) == (DONE, StageState.PENDING)


async def test_a_job_tried_again_is_left_to_the_workers_at_first(
    http: httpx.AsyncClient, jobs: FakeJobs, dead: Job
) -> None:
    await http.post(f"/jobs/{dead.id}/retry")

    assert (await jobs.get(dead.id)).next_dispatch_ms == pytest.approx(now_ms() + 15_000, abs=2000)


@pytest.mark.usefixtures("no_broker")
async def test_a_job_tried_again_without_a_broker_is_due(http: httpx.AsyncClient, jobs: FakeJobs, dead: Job) -> None:
    answer = await http.post(f"/jobs/{dead.id}/retry")

    assert (answer.status_code, [job.id for job in await jobs.find_due(limit=10)]) == (202, [dead.id])


async def test_a_failed_job_is_tried_again_while_its_original_is_kept(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    failed = StageRecord(state=StageState.FAILED, attempts=1)
    job = await accepted(jobs, blobs, state=JobState.FAILED, stages={"validate": DONE, "normalize": failed})

    answer = await http.post(f"/jobs/{job.id}/retry")

    assert answer.status_code == 202
    assert (await jobs.get(job.id)).stages["normalize"].state is StageState.PENDING


@pytest.mark.parametrize("state", [state for state in JobState if state not in (JobState.DEAD, JobState.FAILED)])
async def test_a_job_that_is_neither_dead_nor_failed_cannot_be_tried_again(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    job = await accepted(jobs, blobs, state=state)

    answer = await http.post(f"/jobs/{job.id}/retry")

    assert (answer.status_code, answer.json()["code"]) == (409, "not_retryable")
    assert await jobs.get(job.id) == job


async def test_a_dead_job_without_its_blobs_cannot_be_tried_again(
    http: httpx.AsyncClient, jobs: FakeJobs, dead: Job, broker: FakeBroker
) -> None:
    assert await jobs.mark_expiring(dead)

    answer = await http.post(f"/jobs/{dead.id}/retry")

    assert (answer.status_code, answer.json()["code"], broker.take_messages()) == (409, "not_retryable", [])


async def test_a_job_is_tried_again_once(http: httpx.AsyncClient, dead: Job, broker: FakeBroker) -> None:
    answers = [await http.post(f"/jobs/{dead.id}/retry") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 409]
    assert len(broker.take_messages()) == 1


@pytest.mark.parametrize("header", ['"1"', 'W/"0"', '"other"'])
async def test_a_job_in_another_state_than_expected_is_left_alone(
    http: httpx.AsyncClient, jobs: FakeJobs, dead: Job, header: str
) -> None:
    etag = (await http.get(f"/task-status/{dead.id}")).headers["etag"]

    retried = await http.post(f"/jobs/{dead.id}/retry", headers={"If-Match": header})
    removed = await http.delete(f"/jobs/{dead.id}", headers={"If-Match": header})

    for answer in (retried, removed):
        assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
        assert answer.headers["etag"] == etag
    assert (await jobs.get(dead.id)).state is JobState.DEAD


async def test_a_job_in_any_state_is_what_a_star_expects(http: httpx.AsyncClient, dead: Job) -> None:
    anything = {"If-Match": "*"}

    assert (await http.post(f"/jobs/{dead.id}/retry", headers=anything)).status_code == 202
    assert (await http.delete(f"/jobs/{dead.id}", headers=anything)).status_code == 204
    assert (await http.delete("/jobs/nobody", headers=anything)).status_code == 404


@pytest.mark.parametrize("state", ACTIVE_STATES)
async def test_a_job_under_way_is_cancelled(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    job = await accepted(jobs, blobs, state=state)

    answer = await http.delete(f"/jobs/{job.id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await jobs.get(job.id)).state is JobState.CANCELLED


@pytest.mark.parametrize("state", ACTIVE_STATES)
async def test_a_cancelled_job_is_looked_at_again_because_its_runs_may_still_write(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    job = await accepted(jobs, blobs, state=state)

    await http.delete(f"/jobs/{job.id}")

    assert [
        found.id for found in await jobs.find_with_blobs([JobState.CANCELLED], before_ms=now_ms() + 1, limit=9)
    ] == [job.id]


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_that_ended_is_removed(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    job = await accepted(jobs, blobs, state=state)

    answer = await http.delete(f"/jobs/{job.id}")

    assert answer.status_code == 204
    with pytest.raises(JobNotFound):
        await jobs.get(job.id)


@pytest.mark.parametrize("state", list(JobState))
async def test_of_a_job_that_is_deleted_no_blob_is_left(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    job = await accepted(jobs, blobs, state=state)
    blobs.put(f"{job.id}/small.1", b"small")

    await http.delete(f"/jobs/{job.id}")

    assert blobs.list_folders() == []


async def test_deleting_a_job_leaves_the_blobs_of_others(http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs) -> None:
    job, other = [await accepted(jobs, blobs, state=JobState.DONE) for _ in range(2)]

    await http.delete(f"/jobs/{job.id}")

    assert blobs.list_folders() == [other.id]


async def test_a_job_under_way_is_gone_when_it_is_deleted_twice(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    job = await accepted(jobs, blobs)

    statuses = [(await http.delete(f"/jobs/{job.id}")).status_code for _ in range(3)]

    assert statuses == [204, 204, 404]


class EndingJobs(FakeJobs):
    """Jobs that end just before they are cancelled."""

    async def cancel(self, job: Job) -> bool:
        await self.remove(job.id)
        self._documents[job.id] = job.model_copy(update={"state": JobState.DONE})
        return await super().cancel(job)


class TestAJobThatEndsJustBeforeItIsCancelled:
    @pytest.fixture
    def jobs(self) -> EndingJobs:
        return EndingJobs()

    async def test_is_removed(self, http: httpx.AsyncClient, jobs: EndingJobs, blobs: Blobs) -> None:
        job = await accepted(jobs, blobs)

        await http.delete(f"/jobs/{job.id}")

        assert (blobs.list_folders(), await jobs.find_missing([job.id])) == ([], [job.id])


class RetriedJobs(FakeJobs):
    """Jobs that are retried just before one of them is deleted."""

    async def mark_expiring(self, job: Job) -> bool:
        await self.retry(await self.get(job.id), next_dispatch_ms=0)
        return await super().mark_expiring(job)


class TestAJobThatIsRetriedJustBeforeItIsDeleted:
    @pytest.fixture
    def jobs(self) -> RetriedJobs:
        return RetriedJobs()

    async def test_is_cancelled(self, http: httpx.AsyncClient, jobs: RetriedJobs, dead: Job) -> None:
        await http.delete(f"/jobs/{dead.id}")

        assert (await jobs.get(dead.id)).state is JobState.CANCELLED


@pytest.mark.parametrize(("method", "path"), [("POST", "/jobs/nobody/retry"), ("DELETE", "/jobs/nobody")])
async def test_an_unknown_job_is_not_found(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")

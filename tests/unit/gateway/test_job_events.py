"""Events of jobs that move on, over HTTP: they are handed over before a job is retried, reprocessed or gone."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from storage.blobs import Blobs
from storage.documents import Job, JobState, Kind
from storage.errors import JobNotFound
from storage.events import EventType
from storage.outbox import with_end_event
from tests.support.announcing import new_ended_job
from tests.support.fakes import FakeJobs, FakeStores, new_job
from tests.support.webhooks import new_endpoint

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture(autouse=True)
async def endpoint(stores: FakeStores) -> None:
    """An endpoint of the jobs without owner, which wants all events."""
    await stores.webhooks.insert(new_endpoint(id="all", events=[*EventType]))


async def insert(jobs: FakeJobs, blobs: Blobs, job: Job) -> Job:
    await jobs.insert(job)
    blobs.put(job.original.blob, b"original")
    return job


def delivered(stores: FakeStores) -> list[str]:
    """Return the ids of the events that became deliveries."""
    webhooks: Any = stores.webhooks
    return sorted(delivery.event_id for delivery in webhooks.kept_deliveries.values())


@pytest.mark.parametrize("state", [JobState.DEAD, JobState.FAILED])
async def test_a_job_that_is_retried_has_its_end_handed_over(
    http: httpx.AsyncClient, stores: FakeStores, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    job = await insert(jobs, blobs, new_ended_job(state))

    assert (await http.post(f"/jobs/{job.id}/retry")).status_code == 202

    assert delivered(stores) == [f"{job.id}-0-1-{state}"]
    assert ((await jobs.get(job.id)).outbox, (await jobs.get(job.id)).is_active) == ({}, True)


@pytest.mark.parametrize("state", [JobState.DONE, JobState.DEAD, JobState.FAILED])
async def test_a_job_that_is_reprocessed_has_its_end_handed_over(
    http: httpx.AsyncClient, stores: FakeStores, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    job = await insert(jobs, blobs, new_ended_job(state))

    assert (await http.post(f"/jobs/{job.id}/reprocess")).status_code == 202

    assert delivered(stores) == [f"{job.id}-0-1-{state}"]
    assert (await jobs.get(job.id)).announces_renditions


@pytest.mark.parametrize("state", [JobState.DONE, JobState.DEAD, JobState.FAILED, JobState.CANCELLED])
async def test_a_job_that_is_deleted_has_its_end_handed_over(
    http: httpx.AsyncClient, stores: FakeStores, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    job = await insert(jobs, blobs, new_ended_job(state))

    assert (await http.delete(f"/jobs/{job.id}")).status_code == 204

    assert delivered(stores) == [f"{job.id}-0-1-{state}"]
    assert await jobs.find_missing([job.id]) == [job.id]


async def test_a_job_that_is_cancelled_keeps_its_event_for_the_announcer(
    http: httpx.AsyncClient, app: FastAPI, stores: FakeStores, jobs: FakeJobs, blobs: Blobs
) -> None:
    job = await insert(jobs, blobs, new_job(state=JobState.PROCESSING))

    await http.delete(f"/jobs/{job.id}")
    await app.state.announcer.run_round()

    assert delivered(stores) == [f"{job.id}-0-1-cancelled"]


class EndingJobs(FakeJobs):
    """Jobs that end just before they are cancelled."""

    async def cancel(self, job: Job) -> bool:
        ended = job.model_copy(update={"state": JobState.DONE, "finished_ms": 5})
        self._documents[job.id] = ended.model_copy(update=with_end_event(ended, now=5))
        return await super().cancel(job)


class ExpiringJobs(FakeJobs):
    """Jobs whose blobs the tidier removes just before their documents are removed."""

    async def remove(self, job_id: str) -> bool:
        if job_id in self._documents:
            await self.mark_blobs_removed(self._documents[job_id])
        return await super().remove(job_id)


class GoneJobs(FakeJobs):
    """Jobs that another request deletes as well, a moment sooner."""

    async def remove(self, job_id: str) -> bool:
        await self.clear_outbox(await self.get(job_id))
        await super().remove(job_id)
        return await super().remove(job_id)


class TestAJobThatEndsJustBeforeItIsCancelled:
    @pytest.fixture
    def jobs(self) -> EndingJobs:
        return EndingJobs()

    async def test_has_its_end_handed_over(
        self, http: httpx.AsyncClient, stores: FakeStores, jobs: EndingJobs, blobs: Blobs
    ) -> None:
        job = await insert(jobs, blobs, new_job(state=JobState.PROCESSING))

        assert (await http.delete(f"/jobs/{job.id}")).status_code == 204

        assert delivered(stores) == [f"{job.id}-0-1-done"]
        assert await jobs.find_missing([job.id]) == [job.id]


class TestAJobThatExpiresWhileItIsDeleted:
    @pytest.fixture
    def jobs(self) -> ExpiringJobs:
        return ExpiringJobs()

    async def test_has_that_handed_over_too(
        self, http: httpx.AsyncClient, stores: FakeStores, jobs: ExpiringJobs, blobs: Blobs
    ) -> None:
        job = await insert(jobs, blobs, new_ended_job())

        assert (await http.delete(f"/jobs/{job.id}")).status_code == 204

        assert delivered(stores) == [f"{job.id}-0-1-done", f"{job.id}-0-2-expired"]
        assert await jobs.find_missing([job.id]) == [job.id]


class TestAJobThatIsDeletedTwiceAtOnce:
    @pytest.fixture
    def jobs(self) -> GoneJobs:
        return GoneJobs()

    async def test_is_gone_for_both(self, http: httpx.AsyncClient, jobs: GoneJobs, blobs: Blobs) -> None:
        job = await insert(jobs, blobs, new_ended_job())

        assert (await http.delete(f"/jobs/{job.id}")).status_code == 204

        with pytest.raises(JobNotFound):
            await jobs.get(job.id)


async def test_an_image_on_demand_is_deleted_without_an_event(
    http: httpx.AsyncClient, stores: FakeStores, jobs: FakeJobs, blobs: Blobs
) -> None:
    job = await insert(jobs, blobs, new_job(Kind.IMAGE, state=JobState.DONE, finished_ms=1))

    assert (await http.delete(f"/jobs/{job.id}")).status_code == 204

    assert (delivered(stores), await jobs.find_missing([job.id])) == ([], [job.id])

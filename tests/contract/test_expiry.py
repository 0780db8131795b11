"""A job that is retried while it expires: in every order of the steps, one of the two does not happen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from itertools import combinations_with_replacement

import pytest

from pipeline.settings import Settings
from pipeline.tidying.tidier import Tidier
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Job, JobState
from storage.jobs import Jobs
from tests.support.fakes import FakeJobs, FakeStores, new_job

STEPS = ("find", "mark", "remove", "record", "end")
ORDERS = list(combinations_with_replacement(STEPS, 2))
"""Before which step of the expiry the job is read, and before which it is retried then."""


class Interleaved(Jobs):
    """Jobs that call back before each step of an expiry."""

    before: Callable[[str], Awaitable[None]]

    async def find_with_blobs(
        self, states: Collection[JobState], *, after_ms: int = 0, before_ms: int, limit: int
    ) -> list[Job]:
        await self.before("find")
        return await super().find_with_blobs(states, after_ms=after_ms, before_ms=before_ms, limit=limit)

    async def mark_expiring(self, job: Job) -> bool:
        await self.before("mark")
        is_marked = await super().mark_expiring(job)
        await self.before("remove")
        return is_marked

    async def mark_blobs_removed(self, job: Job) -> None:
        await self.before("record")
        await super().mark_blobs_removed(job)


class InterleavedFake(Interleaved, FakeJobs):
    """The same, in memory."""


@pytest.fixture(params=["real", "fake"])
def jobs(request: pytest.FixtureRequest) -> Interleaved:
    if request.param == "fake":
        return InterleavedFake()
    request.getfixturevalue("stores")
    return Interleaved()


@pytest.mark.parametrize(("read_before", "retried_before"), ORDERS)
async def test_a_retry_and_an_expiry_exclude_each_other(
    jobs: Interleaved, read_before: str, retried_before: str
) -> None:
    blobs, seen, retried = Blobs.open("memory:///"), list[Job](), list[Job | None]()
    job = new_job(state=JobState.DEAD, finished_ms=1)
    await jobs.insert(job)
    blobs.put(job.original.blob, b"original")

    async def retry(step: str) -> None:
        if step == read_before and not seen:
            seen.append(await jobs.get(job.id))
        if step == retried_before and seen and not retried:
            retried.append(await jobs.retry(seen[0], next_dispatch_ms=now_ms()))

    jobs.before = retry
    await Tidier(FakeStores(jobs, blobs), Settings()).tidy()
    await retry("end")

    found = await jobs.get(job.id)
    if retried[0] is not None:
        assert (found.state, found.keeps_blobs, blobs.list_folders()) == (JobState.PROCESSING, True, [job.id])
    else:
        assert (found.state, blobs.list_folders()) == (JobState.DEAD, [])
        assert found.blobs_removed_ms is not None

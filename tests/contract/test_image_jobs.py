"""Images on demand in the database: they are in no list but their own, and go with the job that they are made of."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from gateway.job_actions import cancel_job
from gateway.metrics import GatewayMetrics
from pipeline.job_removal import remove_job, remove_lost_image
from pipeline.settings import Settings
from pipeline.tidying.context import TidyContext
from pipeline.tidying.expiry import Expiry
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Job, JobState, Kind
from storage.job_filter import JobFilter
from storage.job_ids import derive_job_id
from storage.jobs import Jobs
from storage.stores import Stores
from tests.support.announcing import new_announcer
from tests.support.fakes import FakeJobs, FakeStores, new_job, new_job_id

DAY_MS = 86_400_000
LONG_AGO = 1_700_000_000_000


@pytest.fixture(params=["real", "fake"])
def kept(request: pytest.FixtureRequest) -> Stores:
    if request.param == "fake":
        return FakeStores(FakeJobs(), Blobs.open("memory:///"))
    stores: Stores = request.getfixturevalue("stores")
    return stores


async def insert(stores: Stores, kind: Kind = Kind.PREVIEWS, **fields: Any) -> Job:
    job = new_job(kind, **fields)
    await stores.jobs.insert(job)
    stores.blobs.put(f"{job.id}/card.1", b"card")
    return await stores.jobs.get(job.id)


async def insert_image(stores: Stores, parent: Job, **fields: Any) -> Job:
    return await insert(stores, Kind.IMAGE, **{"parent_id": parent.id, "original": parent.original} | fields)


async def exists(jobs: Jobs, job: Job) -> bool:
    return not await jobs.find_missing([job.id])


def folder(stores: Stores, job: Job) -> list[str]:
    return list(stores.blobs.list_all_names(job.id))


async def expire(stores: Stores, settings: Settings) -> None:
    context = TidyContext(stores, settings)
    expiry = Expiry(context)
    for step in (expiry.remove_cancelled, expiry.remove_expired, expiry.remove_refused):
        await step()
    context.close()
    assert not context.errors


def test_the_id_of_an_image_is_the_same_for_the_same_request_and_no_other() -> None:
    parent, other = new_job_id(), new_job_id()
    requests = [(parent, "card", "avif"), (parent, "card", "jpeg"), (parent, "cardavif"), (other, "card", "avif")]

    ids = [derive_job_id(*request) for request in requests]

    assert ids == [derive_job_id(*request) for request in requests]
    assert len(set(ids)) == len(requests)
    assert {(UUID(each).version, UUID(each).variant) for each in ids} == {(7, UUID(parent).variant)}
    assert UUID(ids[0]).int >> 80 == UUID(parent).int >> 80


async def test_a_list_has_images_only_when_it_is_of_them(kept: Stores) -> None:
    parent = await insert(kept)
    image = await insert_image(kept, parent)

    pages = [
        await kept.jobs.page(owner=None, state=None, kind=kind, before_id=None, limit=9) for kind in (None, Kind.IMAGE)
    ]

    assert [[job.id for job in page.jobs] for page in pages] == [[parent.id], [image.id]]


async def test_an_image_of_an_old_job_is_not_the_oldest_job(kept: Stores) -> None:
    parent = await insert(kept, id=new_job_id(at_ms=LONG_AGO), state=JobState.DONE)
    await insert_image(kept, parent, id=derive_job_id(parent.id, "card"), received_ms=now_ms())

    assert await kept.jobs.find_oldest(JobState.ACCEPTED) is None


async def test_the_age_of_an_image_is_that_of_its_request() -> None:
    image = new_job(Kind.IMAGE, id=derive_job_id(new_job_id(at_ms=LONG_AGO), "card"), received_ms=5)

    assert image.started_ms == 5


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.DEAD])
async def test_a_job_is_removed_with_its_images(kept: Stores, state: JobState) -> None:
    parent, other = [await insert(kept, state=JobState.DONE) for _ in range(2)]
    image, others = [await insert_image(kept, each, state=state) for each in (parent, other)]

    assert await remove_job(parent, kept, announce=new_announcer(kept).announce) == []

    assert not await exists(kept.jobs, parent)
    assert not await exists(kept.jobs, image)
    assert await exists(kept.jobs, others)
    assert (folder(kept, image), folder(kept, others)) == ([], ["card.1"])


async def test_an_image_that_is_being_made_is_cancelled_with_its_job(kept: Stores, settings: Settings) -> None:
    parent = await insert(kept, state=JobState.DONE)
    image = await insert_image(kept, parent, state=JobState.PROCESSING)

    cancelled = await remove_job(parent, kept, announce=new_announcer(kept).announce)

    assert [job.id for job in cancelled] == [image.id]
    assert (await kept.jobs.get(image.id)).state is JobState.CANCELLED
    await expire(kept, settings)
    assert await exists(kept.jobs, image)  # a run of it may still write


async def test_a_job_that_expires_takes_its_images_with_it(kept: Stores, settings: Settings) -> None:
    parent = await insert(kept, state=JobState.DONE, finished_ms=LONG_AGO)
    image = await insert_image(kept, parent, state=JobState.DONE, finished_ms=now_ms())

    await expire(kept, settings)

    assert (await kept.jobs.get(parent.id)).blobs_removed_ms
    assert not await exists(kept.jobs, image)
    assert folder(kept, image) == []


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.DEAD])
async def test_an_image_that_expires_can_be_made_again(kept: Stores, settings: Settings, state: JobState) -> None:
    parent = await insert(kept, state=JobState.DONE, finished_ms=now_ms())
    image = await insert_image(kept, parent, state=state, finished_ms=LONG_AGO)

    await expire(kept, settings)

    assert await exists(kept.jobs, parent)
    assert folder(kept, parent) == ["card.1"]
    assert folder(kept, image) == []
    await kept.jobs.insert(image)  # raises while there is one with its id


async def test_an_image_whose_blob_is_lost_is_removed_but_not_the_one_made_after_it(kept: Stores) -> None:
    parent = await insert(kept, state=JobState.DONE)
    lost = await insert_image(kept, parent, state=JobState.DONE, finished_ms=5)

    await remove_lost_image(lost, kept)
    assert not await exists(kept.jobs, lost)

    again = lost.model_copy(update={"finished_ms": 6})
    await kept.jobs.insert(again)
    await remove_lost_image(lost, kept)
    assert await exists(kept.jobs, again)


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        (JobFilter(since_ms=0), ["previews"]),
        (JobFilter(kind=Kind.IMAGE), ["image"]),
        (JobFilter(preset="default"), ["previews"]),
    ],
    ids=["all", "images", "a preset"],
)
async def test_a_bulk_action_is_for_images_only_when_it_says_so(
    stores: Stores, wanted: JobFilter, kinds: list[str]
) -> None:
    parent = await insert(stores, state=JobState.DONE)
    await insert_image(stores, parent, state=JobState.DONE)

    options = {"owner": None, "after_id": "", "before_id": "g", "limit": 9}
    found, _ = await stores.jobs.find_matching(wanted.build_query(), **options)  # type: ignore[arg-type]  # each its own

    assert [job.kind for job in found if wanted.matches(job, {})] == kinds


async def test_a_job_that_is_cancelled_takes_its_images_with_it(kept: Stores) -> None:
    parent = await insert(kept, state=JobState.PROCESSING)
    image = await insert_image(kept, parent, state=JobState.DONE)

    assert await cancel_job(parent, stores=kept, announcer=new_announcer(kept), metrics=GatewayMetrics())

    assert (await kept.jobs.get(parent.id)).state is JobState.CANCELLED
    assert not await exists(kept.jobs, image)

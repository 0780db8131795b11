"""Images on demand over HTTP: which job makes them, who waits for it, and what the answers say to caches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pymongo.errors import DuplicateKeyError
from redis import Redis

from gateway.feed import Feed
from gateway.lifespan import run_in_background
from pipeline.http_settings import AccessSettings, LanesSettings, ResultsSettings
from pipeline.routing import RESIZE
from pipeline.settings import Settings
from pipeline.sweeper import Sweeper
from storage.clock import now_ms
from storage.documents import Failure, Job, JobState, Kind, Lane, Operation, StageRecord, list_assets
from storage.job_ids import derive_job_id
from storage.jobs import Jobs
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.support.fakes import UNREACHABLE_URL, FakeBroker, new_job, use_broker
from tests.support.image_jobs import end_job, finish_image
from tests.support.presets import EDGES, build_presets, use_presets
from tests.support.variants import CARD, content_of, done_card

SHOP = {"renditions": {"card": CARD, "hero": {"width": 900, "formats": ["webp"], "dpr": [1.5, 2]}}}
FAILURE = Failure(stage="validate", code="image_corrupt", message="It is damaged.")
NOW = {"wait": 0}


@pytest.fixture
async def app(gateway: FastAPI, stores: Stores) -> AsyncIterator[FastAPI]:
    """A gateway with the preset `shop`, which looks at watched jobs very often."""
    feed = gateway.state.feed = Feed(stores.jobs, gateway.state.queues, poll_interval_seconds=0.01)
    async with run_in_background(feed.run()):
        yield use_presets(gateway, shop=SHOP)


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(app) as client:
        yield client


@pytest.fixture(autouse=True)
def broker(redis: Redis) -> FakeBroker:  # noqa: ARG001  # which leaves another broker behind
    return FakeBroker()


@pytest.fixture
async def parent(stores: Stores) -> Job:
    """A job that is done, with the preset `default`; its results are of no interest."""
    job = new_job(state=JobState.DONE, finished_ms=5, owner=None)
    await stores.jobs.insert(job)
    stores.blobs.put(job.original.blob, b"original")
    return job


async def images(stores: Stores) -> list[Job]:
    page = await stores.jobs.page(owner=None, state=None, kind=Kind.IMAGE, before_id=None, limit=99)
    return page.jobs


async def finish_all(stores: Stores) -> AsyncIterator[None]:
    while True:
        for job in await images(stores):
            if job.is_active:
                await finish_image(stores, job.id)
        await asyncio.sleep(0.01)
        yield


@pytest.fixture
async def workers(stores: Stores) -> AsyncIterator[None]:
    """Ends the jobs of images soon after they are made."""

    async def work() -> None:
        async for _ in finish_all(stores):
            pass

    task = asyncio.create_task(work())
    yield
    task.cancel()


class TestTheJob:
    async def test_is_made_by_the_first_request(
        self, http: httpx.AsyncClient, stores: Stores, parent: Job, broker: FakeBroker
    ) -> None:
        answer = await http.get(f"/image/{parent.id}/shop/card@2x.avif", params=NOW)

        assert answer.status_code == 202, answer.text
        (job,) = await images(stores)
        assert answer.status_code == 202
        assert answer.json()["task_id"] == job.id
        assert answer.headers["location"] == f"/task-status/{job.id}"
        assert (answer.headers["retry-after"], answer.headers["cache-control"]) == ("1", "no-store")
        assert (job.parent_id, job.original, job.lane) == (parent.id, parent.original, Lane.EXPRESS)
        assert list(job.stages) == ["validate", "normalize", "card", "finalize"]
        assert job.operation.renditions["card"] == {**CARD, "formats": ["avif"], "dpr": [2.0]} | _DEFAULTS
        assert job.operation.preset is not None
        assert job.operation.preset.name == "shop"
        assert len(broker.take_messages()) == 1

    async def test_has_the_limits_under_which_its_parent_was_accepted(
        self, http: httpx.AsyncClient, stores: Stores, settings: Settings
    ) -> None:
        larger = new_job(state=JobState.DONE, owner=None, limits={"side": 10**6, "pixels": 1, "of_a_later_version": 7})
        await stores.jobs.insert(larger)
        stores.blobs.put(larger.original.blob, b"original")

        await http.get(f"/image/{larger.id}/shop/card.avif", params=NOW)

        assert [job.limits for job in await images(stores)] == [asdict(settings.limits) | {"side": 10**6}]

    async def test_has_the_owner_of_its_parent(self, http: httpx.AsyncClient, stores: Stores) -> None:
        hers = new_job(state=JobState.DONE, owner="ada", token_id="token-one")  # noqa: S106  # its id
        await stores.jobs.insert(hers)
        stores.blobs.put(hers.original.blob, b"original")

        await http.get(f"/image/{hers.id}/shop/card.avif", params=NOW)

        assert [(job.owner, job.token_id) for job in await images(stores)] == [("ada", "token-one")]

    async def test_is_one_for_all_spellings_of_a_file(
        self, http: httpx.AsyncClient, stores: Stores, parent: Job
    ) -> None:
        for file in ("card.jpg", "card.jpeg", "card.JPG", "card@1x.jpg", "card@1.0x.jpg"):
            await http.get(f"/image/{parent.id}/shop/{file}", params=NOW)

        assert len(await images(stores)) == 1

    async def test_is_another_one_for_another_file(self, http: httpx.AsyncClient, stores: Stores, parent: Job) -> None:
        files = ["card.jpg", "card.avif", "card.png", "card@2x.avif", "hero.webp", "hero@2x.webp"]
        for file in files:
            await http.get(f"/image/{parent.id}/shop/{file}", params=NOW)

        assert len(await images(stores)) == len(files)

    async def test_is_another_one_when_the_preset_has_changed(
        self, http: httpx.AsyncClient, app: FastAPI, stores: Stores, parent: Job
    ) -> None:
        await http.get(f"/image/{parent.id}/shop/card.avif", params=NOW)
        use_presets(app, shop={"renditions": {"card": {**CARD, "width": 300}}})
        await http.get(f"/image/{parent.id}/shop/card.avif", params=NOW)

        widths = [job.operation.renditions["card"]["width"] for job in await images(stores)]  # type: ignore[index]
        assert sorted(widths) == [300, 400]

    @pytest.mark.usefixtures("workers")
    async def test_is_one_for_a_stampede(
        self, http: httpx.AsyncClient, stores: Stores, parent: Job, broker: FakeBroker
    ) -> None:
        url = f"/image/{parent.id}/shop/card.avif"

        answers = await asyncio.gather(*(http.get(url) for _ in range(50)))

        assert {(answer.status_code, answer.content) for answer in answers} == {(200, b"an image")}
        assert len(await images(stores)) == 1
        assert len(broker.take_messages()) == 1

    async def test_of_a_large_original_takes_the_bulk_lane(
        self, http: httpx.AsyncClient, settings: Settings, app: FastAPI, stores: Stores, parent: Job
    ) -> None:
        app.state.settings = settings.model_copy(update={"lanes": LanesSettings(heavy_bytes=parent.original.bytes)})

        await http.get(f"/image/{parent.id}/shop/card.jpg", params=NOW)

        assert [job.lane for job in await images(stores)] == [Lane.BULK]

    async def test_is_made_while_its_parent_is_still_processed(self, http: httpx.AsyncClient, stores: Stores) -> None:
        active = new_job(state=JobState.PROCESSING)
        await stores.jobs.insert(active)
        stores.blobs.put(active.original.blob, b"original")

        await http.get(f"/image/{active.id}/shop/card.jpg", params=NOW)

        assert len(await images(stores)) == 1

    async def test_is_not_made_while_the_queues_are_full(
        self, http: httpx.AsyncClient, settings: Settings, stores: Stores, app: FastAPI, parent: Job
    ) -> None:
        app.state.queues.push(RESIZE, now_ms())
        app.state.settings = settings.model_copy(update={"access": AccessSettings(max_queue=1)})

        answer = await http.get(f"/image/{parent.id}/shop/card.jpg")

        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert await images(stores) == []

    async def test_is_none_if_its_parent_has_the_file(self, http: httpx.AsyncClient, stores: Stores) -> None:
        done = done_card(stores.blobs)
        await stores.jobs.insert(done)

        answer = await http.get(f"/image/{done.id}/shop/card@2x.webp")

        assert (answer.status_code, answer.content) == (200, content_of("webp", 2))
        assert await images(stores) == []

    @pytest.mark.parametrize(
        ("operation", "file"),
        [
            (Operation(renditions={"card": {**CARD, "width": 401}}), "card.avif"),
            (Operation(renditions={"card": CARD}, assets=list_assets({"logo.png": "0"})), "card.avif"),
            (Operation(renditions={"card": CARD}, animated=True), "card.avif"),
            (Operation(renditions={"card": CARD}), "card.png"),
        ],
        ids=["another size", "another asset", "animated", "another format"],
    )
    async def test_is_made_if_its_parent_has_only_a_similar_file(
        self, http: httpx.AsyncClient, stores: Stores, operation: Operation, file: str
    ) -> None:
        done = done_card(stores.blobs, operation=operation)
        await stores.jobs.insert(done)
        stores.blobs.put(done.original.blob, b"original")

        await http.get(f"/image/{done.id}/shop/{file}", params=NOW)

        assert len(await images(stores)) == 1

    async def test_is_its_parent_that_is_about_to_make_the_file(self, http: httpx.AsyncClient, stores: Stores) -> None:
        active = done_card(stores.blobs).model_copy(update={"state": JobState.PROCESSING})
        card = active.stages["card"]
        await stores.jobs.insert(active.model_copy(update={"stages": active.stages | {"card": StageRecord()}}))
        url = f"/image/{active.id}/shop/card.avif"

        early = await http.get(url, params=NOW)
        waiting = asyncio.create_task(http.get(url))
        await asyncio.sleep(0.05)
        await end_job(stores, active.id, state=JobState.DONE, stages=active.stages | {"card": card})

        assert (early.status_code, early.json()["task_id"]) == (202, active.id)
        assert (await waiting).content == content_of("avif", 1)
        assert await images(stores) == []

    async def test_is_none_while_its_parent_that_has_the_file_is_processed_again(
        self, http: httpx.AsyncClient, stores: Stores
    ) -> None:
        revised = await insert_reprocessed(stores, done_card(stores.blobs), OTHER_CARD)

        answer = await http.get(f"/image/{revised.id}/shop/card.avif", params=NOW)

        assert (answer.status_code, answer.content) == (200, content_of("avif", 1))
        assert await images(stores) == []

    async def test_is_made_if_its_parent_gets_results_of_an_earlier_preset_back(
        self, http: httpx.AsyncClient, stores: Stores
    ) -> None:
        revised = await insert_reprocessed(
            stores, done_card(stores.blobs, operation=OTHER_CARD), Operation(renditions={"card": CARD})
        )
        waiting = asyncio.create_task(http.get(f"/image/{revised.id}/shop/card.avif", params={"wait": 0.3}))
        await asyncio.sleep(0.05)
        assert await stores.jobs.mark_dead(revised, FAILURE)

        answer = await waiting

        (made,) = await images(stores)
        assert (answer.status_code, answer.json()["task_id"]) == (202, made.id)


OTHER_CARD = Operation(renditions={"card": {**CARD, "width": 401}})


async def insert_reprocessed(stores: Stores, done: Job, operation: Operation) -> Job:
    """Insert a job that is done, and begin to make the card of another operation."""
    await stores.jobs.insert(done)
    stores.blobs.put(done.original.blob, b"original")
    options: dict[str, Any] = {"lane": Lane.EXPRESS, "next_dispatch_ms": now_ms() + 3_600_000}
    revised = await stores.jobs.reprocess(done, operation, stages=list(done.stages), **options)
    assert revised is not None
    return revised


_DEFAULTS = {
    "fit": "inside",
    "focus": "centre",
    "enlarge": False,
    "quality": {},
    "steps": [],
}


class TestTheAnswer:
    @pytest.mark.usefixtures("workers")
    async def test_comes_when_the_image_is_made(self, http: httpx.AsyncClient, parent: Job) -> None:
        answer = await http.get(f"/image/{parent.id}/shop/card@2x.avif")

        assert (answer.status_code, answer.content) == (200, b"an image")
        assert answer.headers["content-type"] == "image/avif"
        assert answer.headers["etag"] == f'"{sha256(b"an image").hexdigest()}"'
        assert answer.headers["content-disposition"].startswith('inline; filename="cat-card@2x.avif"')
        assert "vary" not in answer.headers

    async def test_is_202_when_the_time_is_over(
        self, http: httpx.AsyncClient, settings: Settings, app: FastAPI, parent: Job
    ) -> None:
        app.state.settings = settings.model_copy(update={"results": ResultsSettings(image_wait=0.05)})

        by_default = await http.get(f"/image/{parent.id}/shop/card.avif")
        as_asked = await http.get(f"/image/{parent.id}/shop/card.avif", params={"wait": 0.05})

        assert [by_default.status_code, as_asked.status_code] == [202, 202]

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.usefixtures("workers")
    async def test_of_a_known_version_is_kept_for_ever(
        self, http: httpx.AsyncClient, app: FastAPI, parent: Job, method: str
    ) -> None:
        url, version = f"/image/{parent.id}/shop/card.avif", app.state.presets.get("shop").version

        answers = [await http.request(method, url, params={"v": v} if v else {}) for v in (version, "older", None)]

        kept = [answer.headers["cache-control"] for answer in answers]
        assert kept == ["public, max-age=31536000, immutable", "public, no-cache", "public, no-cache"]

    @pytest.mark.usefixtures("workers")
    async def test_may_be_a_part_or_not_modified(self, http: httpx.AsyncClient, parent: Job) -> None:
        url = f"/image/{parent.id}/shop/card.avif"
        etag = (await http.get(url)).headers["etag"]

        part = await http.get(url, headers={"Range": "bytes=3-"})
        same = await http.get(url, headers={"If-None-Match": etag})
        outside = await http.get(url, headers={"Range": "bytes=99-"})

        assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"image", "bytes 3-7/8")
        assert (same.status_code, same.headers["cache-control"]) == (304, "public, no-cache")
        assert outside.status_code == 416

    @pytest.mark.parametrize(
        ("path", "names"),
        [
            ("nothing/card.avif", "default, shop"),
            ("shop/nothing.avif", "card, hero"),
            ("shop/card", "card.jpg, card@2x.jpg, card.png, card@2x.png, card.webp, card@2x.webp, card.avif"),
            ("shop/card.gif", "card.jpg"),
            ("shop/card.auto", "card.jpg"),
            ("shop/card@3x.avif", "card@2x.avif"),
            ("shop/hero@1x.webp", "hero@1.5x.jpg, hero@2x.jpg"),
            ("shop/card@@2x.avif", "card, hero"),
        ],
    )
    async def test_names_what_there_is(
        self, http: httpx.AsyncClient, stores: Stores, parent: Job, path: str, names: str
    ) -> None:
        answer = await http.get(f"/image/{parent.id}/{path}")

        assert (answer.status_code, answer.json()["code"]) == (404, "rendition_not_found")
        assert names in answer.json()["detail"]
        assert await images(stores) == []

    @pytest.mark.parametrize(
        ("fields", "status", "code"),
        [
            ({"state": JobState.FAILED, "failure": FAILURE}, 409, "job_failed"),
            ({"state": JobState.DEAD}, 409, "job_failed"),
            ({"state": JobState.CANCELLED}, 409, "job_failed"),
            ({"expiring_ms": 1}, 410, "expired"),
            ({"blobs_removed_ms": 1}, 410, "expired"),
        ],
        ids=str,
    )
    async def test_says_why_there_is_no_original(
        self, http: httpx.AsyncClient, stores: Stores, parent: Job, fields: dict[str, Any], status: int, code: str
    ) -> None:
        await end_job(stores, parent.id, **fields)

        answer = await http.get(f"/image/{parent.id}/shop/card.avif")

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert await images(stores) == []

    async def test_says_that_the_original_is_lost(self, http: httpx.AsyncClient, stores: Stores, parent: Job) -> None:
        stores.blobs.remove_folder(parent.id)

        answer = await http.get(f"/image/{parent.id}/shop/card.avif")

        assert (answer.status_code, answer.json()["code"]) == (410, "expired")
        assert await images(stores) == []

    async def test_says_why_the_image_could_not_be_made(
        self, http: httpx.AsyncClient, stores: Stores, parent: Job
    ) -> None:
        url = f"/image/{parent.id}/shop/card.avif"
        made_id = (await http.get(url, params=NOW)).json()["task_id"]
        waiting = asyncio.create_task(http.get(url))
        await asyncio.sleep(0.05)
        await end_job(stores, made_id, state=JobState.FAILED, failure=FAILURE)

        answer = await waiting

        assert (answer.status_code, answer.json()["code"]) == (409, "job_failed")
        assert answer.json()["failure"]["code"] == "image_corrupt"

    async def test_is_404_for_an_unknown_job(self, http: httpx.AsyncClient) -> None:
        assert (await http.get(f"/image/{new_job().id}/shop/card.avif")).json()["code"] == "job_not_found"

    @pytest.mark.usefixtures("workers")
    async def test_is_404_for_an_image_of_an_image(self, http: httpx.AsyncClient, stores: Stores, parent: Job) -> None:
        await http.get(f"/image/{parent.id}/shop/card.avif")
        (made,) = await images(stores)

        answer = await http.get(f"/image/{made.id}/shop/card.webp")

        assert (answer.status_code, answer.json()["code"]) == (404, "rendition_not_found")

    @pytest.mark.usefixtures("workers")
    async def test_comes_after_a_lost_image_is_made_again(
        self, http: httpx.AsyncClient, stores: Stores, parent: Job
    ) -> None:
        url = f"/image/{parent.id}/shop/card.avif"
        await http.get(url)
        (made,) = await images(stores)
        stores.blobs.remove_folder(made.id)

        answer = await http.get(url)

        assert (answer.status_code, answer.content) == (200, b"an image")
        assert [job.id for job in await images(stores)] == [made.id]

    async def test_is_202_while_an_expired_image_is_removed(
        self, http: httpx.AsyncClient, stores: Stores, parent: Job
    ) -> None:
        url = f"/image/{parent.id}/shop/card.avif"
        made_id = (await http.get(url, params=NOW)).json()["task_id"]
        await finish_image(stores, made_id)
        await end_job(stores, made_id, expiring_ms=now_ms())

        assert (await http.get(url, params=NOW)).status_code == 202
        assert not (await stores.jobs.get(made_id)).keeps_blobs

    async def test_comes_though_a_process_died_that_removed_the_image(
        self, http: httpx.AsyncClient, stores: Stores, parent: Job
    ) -> None:
        url = f"/image/{parent.id}/shop/card.avif"
        made_id = (await http.get(url, params=NOW)).json()["task_id"]
        await finish_image(stores, made_id)
        await end_job(stores, made_id, expiring_ms=now_ms() - 3_600_000)

        answer = await http.get(url, params=NOW)

        assert answer.status_code == 202
        assert (await stores.jobs.get(made_id)).is_active


class DeletingJobs(Jobs):
    """Jobs whose parent is deleted just before an image is inserted: after the gateway has read the parent."""

    def __init__(self, http: httpx.AsyncClient, parent_id: str) -> None:
        super().__init__()
        self._http, self._parent_id = http, parent_id

    async def insert(self, job: Job) -> None:
        assert (await self._http.delete(f"/jobs/{self._parent_id}")).status_code == 204
        await super().insert(job)


async def test_a_parent_that_is_deleted_while_its_image_is_inserted_takes_it_along(
    http: httpx.AsyncClient, app: FastAPI, stores: Stores, parent: Job, broker: FakeBroker
) -> None:
    app.state.stores = replace(stores, jobs=DeletingJobs(http, parent.id))

    answer = await http.get(f"/image/{parent.id}/shop/card.avif")

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    assert [job.state for job in await images(stores)] == [JobState.CANCELLED]
    assert broker.take_messages() == []


class RemovedJobs(Jobs):
    """Jobs in which another request's image stands in the way of an insert, and is removed just after it."""

    async def insert(self, job: Job) -> None:
        raise DuplicateKeyError(job.id)


async def test_an_image_that_is_removed_by_another_request_is_made_by_the_next_one(
    http: httpx.AsyncClient, app: FastAPI, stores: Stores, parent: Job
) -> None:
    app.state.stores = replace(stores, jobs=RemovedJobs())
    url = f"/image/{parent.id}/shop/card.avif"

    answer = await http.get(url, params=NOW)
    app.state.stores = stores
    await http.get(url, params=NOW)

    assert answer.status_code == 202
    assert [job.id for job in await images(stores)] == [answer.json()["task_id"]]


@pytest.mark.usefixtures("workers")
async def test_a_stampede_on_two_gateways_is_one_job(
    http: httpx.AsyncClient, settings: Settings, stores: Stores, parent: Job, broker: FakeBroker
) -> None:
    other = use_presets(create_gateway(stores, settings), shop=SHOP)
    feed = other.state.feed = Feed(stores.jobs, other.state.queues, poll_interval_seconds=0.01)
    url = f"/image/{parent.id}/shop/card.avif"

    async with run_in_background(feed.run()), create_client(other) as second:
        answers = await asyncio.gather(*(client.get(url) for client in (http, second) for _ in range(25)))

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, b"an image")}
    assert len(await images(stores)) == 1
    assert len(broker.take_messages()) == 1


async def test_an_image_that_could_not_be_dispatched_is_dispatched_by_the_sweeper(
    http: httpx.AsyncClient, app: FastAPI, settings: Settings, stores: Stores, parent: Job
) -> None:
    use_broker(FakeBroker.settings.model_copy(update={"redis_url": UNREACHABLE_URL}))
    answer = await http.get(f"/image/{parent.id}/shop/card.avif", params=NOW)
    broker = FakeBroker()

    await Sweeper(stores, app.state.queues, settings).dispatch_due()

    assert answer.status_code == 202
    assert len(broker.take_messages()) == 1
    assert (await stores.jobs.get(answer.json()["task_id"])).generation == 1


@pytest.mark.usefixtures("workers")
async def test_a_job_is_deleted_with_its_images(http: httpx.AsyncClient, stores: Stores, parent: Job) -> None:
    await http.get(f"/image/{parent.id}/shop/card.avif")
    (made,) = await images(stores)

    await http.delete(f"/jobs/{parent.id}")

    assert await images(stores) == []
    assert list(stores.blobs.list_all_names(made.id)) == []


@pytest.mark.usefixtures("workers")
async def test_the_status_of_an_image_names_its_parent(http: httpx.AsyncClient, stores: Stores, parent: Job) -> None:
    await http.get(f"/image/{parent.id}/shop/card.avif")
    (made,) = await images(stores)

    status = (await http.get(f"/task-status/{made.id}")).json()

    assert (status["kind"], status["parent_id"], list(status["renditions"])) == ("image", parent.id, ["card"])
    assert (await http.get("/jobs")).json()["jobs"][0]["task_id"] == parent.id


def test_ids_depend_on_the_version_of_the_preset() -> None:
    ids = {build_presets(shop={"renditions": {"card": {"edge": edge}}}).get("shop").version for edge in EDGES.values()}

    assert len({derive_job_id(new_job().id, "shop", version) for version in ids}) == len(EDGES)

"""Bulk actions over HTTP: what is accepted, what is refused, whose jobs are changed, and how it is followed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from redis import Redis

from gateway.bulk.runner import BulkRunner
from pipeline.http_settings import BulkSettings
from pipeline.settings import Settings
from storage.documents import Job, JobState, Kind, Lane, blob_key
from storage.outbox import with_end_event
from storage.stores import Stores
from storage.webhooks import DELIVERIES
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import ADA_KEY, ZOE_KEY
from tests.support.fakes import FakeQueues, new_job, new_job_id
from tests.support.presets import ICONS, PRODUCT, build_presets, use_presets
from tests.support.webhooks import new_endpoint

PRESETS: dict[str, Any] = {"product": PRODUCT, "icons": ICONS}
ADA, ZOE = {"X-API-Key": ADA_KEY}, {"X-API-Key": ZOE_KEY}


class World:
    """A gateway with two owners, whose bulk actions run when the test says so."""

    def __init__(self, app: FastAPI, http: httpx.AsyncClient, stores: Stores, settings: Settings) -> None:
        self.app, self.http, self.stores = app, http, stores
        self._runner = BulkRunner(stores, FakeQueues(), app.state.announcer, settings, app.state.metrics)

    async def add_job(self, owner: str, state: JobState, **fields: Any) -> Job:
        job_id = new_job_id()
        job = new_job(id=job_id, owner=owner, state=state, finished_ms=1, **fields)
        self.stores.blobs.put(blob_key(job_id, "original"), b"photo")
        await self.stores.jobs.insert(job)
        return job

    async def post(self, **wanted: Any) -> httpx.Response:
        return await self.http.post("/bulk", json=wanted, headers=ADA)

    async def run(self, **wanted: Any) -> dict[str, Any]:
        """Post a bulk action of Ada's, carry it out, and return its status."""
        accepted = await self.post(**wanted)
        assert accepted.status_code == 202, accepted.text
        while await self._runner.run_round():
            pass
        shown = await self.http.get(accepted.headers["location"], headers=ADA)
        status: dict[str, Any] = shown.json()
        assert status["status"] == "done"
        return status


@pytest.fixture
async def world(stores: Stores, settings: Settings, redis: Redis) -> AsyncIterator[World]:  # noqa: ARG001
    keys = {owner: sha256(key.encode()).hexdigest() for owner, key in (("ada", ADA_KEY), ("zoe", ZOE_KEY))}
    changes = {"api_keys": keys, "bulk": BulkSettings(rate=1000, max_active_per_owner=2, max_task_ids=5)}
    changed = settings.model_copy(update=changes)
    app = use_presets(create_gateway(stores, changed), **PRESETS)
    async with create_client(app) as client:
        yield World(app, client, stores, changed)


async def test_jobs_are_retried_in_the_bulk_lane(world: World) -> None:
    job, other = await world.add_job("ada", JobState.DEAD), await world.add_job("ada", JobState.DONE)

    status = await world.run(action="retry", filter={"kind": "previews"})

    assert (status["total"], status["matched"], status["done"]) == (1, 1, 1)
    retried = await world.stores.jobs.get(job.id)
    assert (retried.is_active, retried.lane, retried.generation) == (True, Lane.BULK, 1)
    assert (await world.stores.jobs.get(other.id)).state is JobState.DONE


@pytest.mark.parametrize("action", ["retry", "reprocess", "delete"])
async def test_events_are_handed_over_before_jobs_move_on(world: World, action: str) -> None:
    await world.stores.webhooks.insert(new_endpoint(owner="ada", events=["job.dead"]))
    jobs = [await world.add_job("ada", JobState.DEAD) for _ in range(3)]
    for job in jobs:
        events = with_end_event(job, now=1)["outbox"].values()
        changes = {"outbox": {event.key: event.model_dump(mode="json") for event in events}, "outbox_ms": 1}
        await Job.get_motor_collection().update_one({"_id": job.id}, {"$set": changes})

    status = await world.run(action=action, task_ids=[job.id for job in jobs])

    assert (status["done"], status["failed_by_code"]) == (3, {})
    found = await Job.get_motor_collection().database[DELIVERIES].find({}, {"event_id": 1}).to_list(None)
    assert sorted(document["event_id"] for document in found) == sorted(f"{job.id}-0-1-dead" for job in jobs)


async def test_outdated_jobs_are_reprocessed_once(world: World) -> None:
    old = build_presets(product={"renditions": {"card": {"edge": 99}}}).get("product").resolve({})
    job = await world.add_job("ada", JobState.DONE, operation=old, renditions={"card": 99})
    wanted: dict[str, Any] = {"action": "reprocess", "filter": {"preset": "product", "outdated": True, "since": "1d"}}

    first = await world.run(**wanted)
    second = await world.run(**wanted)

    assert (first["done"], second["done"], second["matched"]) == (1, 0, 0)
    revised = await world.stores.jobs.get(job.id)
    assert (revised.revision, revised.lane) == (1, Lane.BULK)
    assert revised.operation == build_presets(**PRESETS).get("product").resolve({})


async def test_a_dry_run_counts_and_changes_nothing(world: World) -> None:
    jobs = [await world.add_job("ada", state) for state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)]

    status = await world.run(action="reprocess", preset="product", filter={"until": "2100-01-01"}, dry_run=True)

    assert (status["dry_run"], status["matched"], status["done"]) == (True, 3, 2)
    assert status["failed_by_code"] == {"not_reprocessable": 1}
    assert status["failures"][0]["task_id"] == jobs[2].id
    assert [(await world.stores.jobs.get(job.id)).version for job in jobs] == [0, 0, 0]


async def test_jobs_of_others_are_neither_changed_nor_told_of(world: World) -> None:
    mine, hers = await world.add_job("ada", JobState.DONE), await world.add_job("zoe", JobState.DONE)

    status = await world.run(action="delete", task_ids=[mine.id, hers.id, "unknown"])

    assert (status["done"], status["failed_by_code"]) == (1, {"job_not_found": 2})
    by_filter = await world.run(action="delete", filter={"status": ["done"]})
    assert by_filter["matched"] == 0
    assert (await world.stores.jobs.get(hers.id)).state is JobState.DONE
    assert world.stores.blobs.list_folders() == [hers.id]


async def test_an_owner_sees_only_its_own_bulk_actions(world: World) -> None:
    bulk_id = (await world.post(action="delete", task_ids=["x"])).json()["bulk_id"]

    answers = [await world.http.request(method, f"/bulk/{bulk_id}", headers=ZOE) for method in ("GET", "DELETE")]

    assert [answer.json()["code"] for answer in answers] == ["bulk_not_found"] * 2
    assert (await world.http.get("/bulk", headers=ZOE)).json() == {"bulk_actions": [], "next": None}
    listed = (await world.http.get("/bulk", headers=ADA)).json()["bulk_actions"]
    assert [each["bulk_id"] for each in listed] == [bulk_id]


async def test_a_cancelled_bulk_action_shows_what_was_done(world: World) -> None:
    accepted = await world.post(action="delete", task_ids=["x"])
    path = accepted.headers["location"]

    answers = [await world.http.delete(path, headers=ADA) for _ in range(2)]

    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "cancelled")] * 2


async def test_a_status_that_has_not_changed_is_304(world: World) -> None:
    path = (await world.post(action="delete", task_ids=["x"])).headers["location"]
    shown = await world.http.get(path, headers=ADA)

    again = await world.http.get(path, headers=ADA | {"If-None-Match": shown.headers["etag"]})

    assert (shown.headers["retry-after"], again.status_code) == ("1", 304)


async def test_an_owner_has_a_few_bulk_actions_at_a_time(world: World) -> None:
    answers = [await world.post(action="delete", task_ids=["x"]) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2].json()["code"] == "too_many_bulk_actions"
    assert (await world.http.post("/bulk", json={"action": "delete", "task_ids": ["x"]}, headers=ZOE)).is_success


@pytest.mark.parametrize(
    "wanted",
    [
        {"action": "retry", "filter": {}},
        {"action": "retry"},
        {"action": "retry", "filter": None},
        {"action": "retry", "filter": {"status": []}},
        {"action": "retry", "filter": {"outdated": False}},
        {"action": "retry", "filter": {"state": "dead"}},
        {"action": "retry", "filter": {"status": "ended"}},
        {"action": "retry", "filter": {"since": "yesterday"}},
        {"action": "retry", "filter": {"since": "9999999999999d"}},
        {"action": "retry", "task_ids": []},
        {"action": "retry", "task_ids": ["../x"]},
        {"action": "retry", "task_ids": ["a", "b", "c", "d", "e", "f"]},
        {"action": "retry", "task_ids": ["a"], "filter": {"kind": "crop"}},
        {"action": "retry", "task_ids": ["a"], "preset": "product"},
        {"action": "reprocess", "task_ids": ["a"], "preset": "unknown"},
        {"action": "retry", "task_ids": ["a"], "dry_run": "yes"},
        {"action": "archive", "task_ids": ["a"]},
    ],
    ids=str,
)
async def test_what_could_be_meant_for_other_jobs_is_refused(world: World, wanted: dict[str, Any]) -> None:
    answer = await world.post(**wanted)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"]


async def test_a_key_that_is_limited_to_presets_reprocesses_with_no_others(
    stores: Stores,
    settings: Settings,
    redis: Redis,  # noqa: ARG001
) -> None:
    changes: dict[str, Any] = {
        "api_keys": {"ada": sha256(ADA_KEY.encode()).hexdigest()},
        "key_presets": {"ada": ("icons",)},
        "bulk": BulkSettings(rate=1000),
    }
    changed = settings.model_copy(update=changes)
    app = use_presets(create_gateway(stores, changed), **PRESETS)
    async with create_client(app) as client:
        world = World(app, client, stores, changed)
        icon = build_presets(icons={"renditions": {"icon": {"edge": 9}}}).get("icons").resolve({})
        allowed = await world.add_job("ada", JobState.DONE, operation=icon, renditions={"icon": 9})
        await world.add_job("ada", JobState.DONE)
        await world.add_job("ada", JobState.FAILED, kind=Kind.CROP)

        refused = await world.post(action="reprocess", preset="product", filter={"since": "1d"})
        status = await world.run(action="reprocess", filter={"since": "1d"})

    assert refused.json()["code"] == "preset_not_allowed"
    assert (status["done"], status["failed_by_code"]) == (1, {"preset_not_allowed": 2})
    assert (await stores.jobs.get(allowed.id)).revision == 1

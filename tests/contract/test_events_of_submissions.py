"""Events of jobs from their submission on: who announces renditions, what ends at once, and gateways that take over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from gateway.lifespan import run_in_background
from storage.documents import Job, JobState
from storage.stores import Stores
from storage.webhooks import DELIVERIES
from tests.contract.http_helpers import ADA_KEY, CAT_PART, JPEG, get_accepted_job, post
from tests.contract.test_duplicates import finished
from tests.contract.tus_helpers import create_upload, patch
from tests.support.announcing import new_announcer, new_ended_job
from tests.support.fakes import part
from tests.support.webhooks import new_endpoint

PATIENCE_SECONDS = 60


async def read_event_ids() -> list[str]:
    """Return the ids of the events of all deliveries."""
    found = Job.get_motor_collection().database[DELIVERIES].find({}, {"event_id": 1})
    return sorted(document["event_id"] for document in await found.to_list(None))


@pytest.mark.parametrize(
    ("path", "parts", "announces"),
    [("/upload", [], True), ("/grayscale", [], False), ("/resize", [part("width", b"9")], False)],
)
async def test_an_upload_announces_its_renditions_if_someone_wants_that(
    http: httpx.AsyncClient, stores: Stores, path: str, parts: list[bytes], *, announces: bool
) -> None:
    await stores.webhooks.insert(new_endpoint(events=["rendition.done"]))

    job = await get_accepted_job(stores, await post(http, CAT_PART, *parts, path=path))

    assert job.announces_renditions is announces


async def test_a_resumable_upload_announces_its_renditions_too(http: httpx.AsyncClient, stores: Stores) -> None:
    await stores.webhooks.insert(new_endpoint(events=["rendition.done"]))

    answer = await patch(http, await create_upload(http), JPEG, 0)

    assert (await stores.jobs.get(answer.headers["task-id"])).announces_renditions


async def test_a_webhook_that_is_created_or_changed_counts_for_the_next_upload(
    http: httpx.AsyncClient, stores: Stores
) -> None:
    assert not (await get_accepted_job(stores, await post(http, CAT_PART))).announces_renditions

    webhook = await http.post("/webhooks", json={"url": "https://shop.example/", "events": ["rendition.done"]})
    assert (await get_accepted_job(stores, await post(http, CAT_PART))).announces_renditions

    await http.patch(webhook.headers["location"], json={"disabled": True})
    assert not (await get_accepted_job(stores, await post(http, CAT_PART))).announces_renditions


async def test_renditions_are_announced_to_the_owner_alone(keyed_client: httpx.AsyncClient, stores: Stores) -> None:
    for owner in ("zoe", None):
        await stores.webhooks.insert(new_endpoint(owner=owner, events=["rendition.done"]))

    job = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))

    assert not job.announces_renditions


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["job.done"], ["0-1-done"]),
        (["rendition.done", "job.done"], ["0-0-large", "0-0-medium", "0-0-small", "0-1-done"]),
    ],
)
async def test_a_job_with_a_twin_is_done_at_once_and_that_is_an_event(
    keyed_client: httpx.AsyncClient, stores: Stores, events: list[str], expected: list[str]
) -> None:
    await stores.webhooks.insert(new_endpoint(owner="ada", events=events))
    await finished(stores)

    job = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))
    await new_announcer(stores).announce_batch()

    assert (job.state, job.deduplicated_from is not None) == (JobState.DONE, True)
    assert await read_event_ids() == [f"{job.id}-{key}" for key in expected]


@pytest.mark.usefixtures("redis")
async def test_a_gateway_that_dies_is_replaced_by_another(stores: Stores) -> None:
    await stores.webhooks.insert(new_endpoint())
    jobs = [new_ended_job(ms=number) for number in (1, 2)]
    async with run_in_background(new_announcer(stores, poll_seconds=0.05).run()):
        await stores.jobs.insert(jobs[0])
        await _wait_until(lambda: _has_events(jobs[:1]))

        async with run_in_background(new_announcer(stores, poll_seconds=0.05).run()):
            pass
    async with run_in_background(new_announcer(stores, poll_seconds=0.05).run()):
        await stores.jobs.insert(jobs[1])

        await _wait_until(lambda: _has_events(jobs))


async def _has_events(jobs: list[Job]) -> bool:
    return await read_event_ids() == sorted(f"{job.id}-0-1-done" for job in jobs)


async def _wait_until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await is_so():  # noqa: ASYNC110  # what the server has, nobody here is told
            await asyncio.sleep(0.05)

"""Waiting for the end of a job that this gateway has just accepted: it is not read before it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from gateway.feed import Feed
from gateway.lifespan import run_in_background
from storage.stores import Stores
from tests.contract.conftest import FindCommands
from tests.contract.http_helpers import CAT_PART, post

SECONDS = 10.0
NO_POLL = 600.0

pytestmark = pytest.mark.usefixtures("redis")


@pytest.fixture
async def feed(gateway: FastAPI, stores: Stores) -> AsyncIterator[Feed]:
    """The gateway's feed, running, whose subscription has begun. It polls only after a long time."""
    feed = gateway.state.feed = Feed(stores.jobs, gateway.state.queues, poll_interval_seconds=NO_POLL)
    async with run_in_background(feed.run()):
        await asyncio.sleep(0.05)  # its first SUBSCRIBED
        yield feed


async def upload(http: httpx.AsyncClient) -> str:
    answer = await post(http, CAT_PART)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


async def wait(http: httpx.AsyncClient, job_id: str, seconds: float = 60) -> httpx.Response:
    async with asyncio.timeout(SECONDS):
        return await http.get(f"/task-status/{job_id}", params={"wait": seconds})


@pytest.mark.usefixtures("feed")
async def test_the_job_is_read_once_it_has_ended(
    http: httpx.AsyncClient, gateway: FastAPI, stores: Stores, finds: FindCommands
) -> None:
    async def end() -> None:
        while not gateway.state.feed.watched_count:  # noqa: ASYNC110  # a feed has no event
            await asyncio.sleep(0.01)
        sent_before.extend(finds.sent)
        await stores.jobs.cancel((await stores.jobs.get_many([job_id]))[0])
        await gateway.state.queues.ends.put(job_id)

    sent_before: list[object] = []
    job_id = await upload(http)
    finds.sent.clear()
    answer, _ = await asyncio.gather(wait(http, job_id), end())

    assert (answer.json()["status"], sent_before) == ("cancelled", [])


@pytest.mark.parametrize("is_recent", [True, False])
async def test_a_wait_in_vain_shows_the_job_as_it_is(
    http: httpx.AsyncClient, stores: Stores, feed: Feed, *, is_recent: bool
) -> None:
    async def change() -> None:
        while not feed.watched_count:  # noqa: ASYNC110  # a feed has no event
            await asyncio.sleep(0.01)
        await stores.jobs.redispatch(await stores.jobs.get(job_id), next_dispatch_ms=1)

    job_id = await upload(http)
    if not is_recent:
        feed.recent_jobs.clear()
    answer, _ = await asyncio.gather(wait(http, job_id, 1), change())

    assert answer.json()["generation"] == 1


@pytest.mark.usefixtures("feed")
async def test_a_job_that_was_removed_is_not_found(http: httpx.AsyncClient) -> None:
    job_id = await upload(http)
    for _ in ("cancels", "removes"):
        assert (await http.delete(f"/jobs/{job_id}")).status_code == 204

    assert (await wait(http, job_id)).status_code == 404


async def test_a_job_that_another_gateway_has_removed_is_not_found(
    http: httpx.AsyncClient, gateway: FastAPI, stores: Stores
) -> None:
    feed = gateway.state.feed = Feed(stores.jobs, gateway.state.queues, poll_interval_seconds=0.05)
    async with run_in_background(feed.run()):
        job_id = await upload(http)
        await stores.jobs.withdraw(job_id)

        assert (await wait(http, job_id)).status_code == 404

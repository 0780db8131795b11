"""The front door: what its lifespan puts in place."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI

from gateway.app import FORM_OVERHEAD_BYTES, create_app
from pipeline.celery import app as celery
from pipeline.settings import BrokerSettings, Settings, SweeperSettings
from stages.limits import Limits
from storage.documents import Job
from tests.fakes import NOWHERE, FakeBroker, FakeJobs, FakeQueues, FakeStores, publish_to

SETTINGS = Settings(
    redis_url="memory://",
    result_url=NOWHERE,
    limits=Limits(upload_bytes=1000),
    broker=BrokerSettings(publish_timeout=0.7),
    sweeper=SweeperSettings(interval=0.001),
)


class WatchedJobs(FakeJobs):
    """Jobs that tell when they were asked what is due."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = asyncio.Queue[None]()

    async def due(self, *, limit: int) -> list[Job]:
        await self.rounds.put(None)
        return await super().due(limit=limit)


@pytest.fixture
def jobs() -> WatchedJobs:
    return WatchedJobs()


@pytest.fixture
def own_app(stores: FakeStores, queues: FakeQueues) -> FastAPI:
    return create_app(SETTINGS, stores=stores, queues=queues)


async def test_a_gateway_uses_the_stores_it_is_given(own_app: FastAPI, stores: FakeStores) -> None:
    async with own_app.router.lifespan_context(own_app):
        assert own_app.state.stores is stores


async def test_a_gateway_uses_the_queues_it_is_given(own_app: FastAPI, queues: FakeQueues) -> None:
    async with own_app.router.lifespan_context(own_app):
        assert own_app.state.queues is queues


async def test_a_gateway_publishes_without_waiting_long(own_app: FastAPI) -> None:
    async with own_app.router.lifespan_context(own_app):
        timeout = celery.conf.broker_transport_options["socket_timeout"]

    publish_to(FakeBroker.settings)
    assert timeout == 0.7


async def test_a_gateway_sweeps_while_it_lives(own_app: FastAPI, jobs: WatchedJobs) -> None:
    async with own_app.router.lifespan_context(own_app), asyncio.timeout(5):
        for _ in range(3):
            await jobs.rounds.get()


async def test_a_gateway_that_ended_sweeps_no_more(own_app: FastAPI, jobs: WatchedJobs) -> None:
    before = asyncio.all_tasks()

    async with own_app.router.lifespan_context(own_app), asyncio.timeout(5):
        await jobs.rounds.get()

    assert asyncio.all_tasks() == before


def test_a_body_may_be_as_large_as_its_file_and_its_form(own_app: FastAPI) -> None:
    [middleware] = own_app.user_middleware

    assert middleware.kwargs == {"limit": 1000 + FORM_OVERHEAD_BYTES}


def test_the_api_describes_its_problems(app: FastAPI) -> None:
    responses = app.openapi()["paths"]["/task-status/{task_id}"]["get"]["responses"]

    assert "application/problem+json" in responses["4XX"]["content"]

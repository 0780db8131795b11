"""The whole gateway over fakes, asked through ASGI: no socket, no database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs
from structlog.typing import EventDict

from gateway.app import create_app
from gateway.event_feed.feed import EventFeed
from gateway.feed import Feed
from gateway.lifespan import run_in_background
from gateway.submission.backpressure import Backlog
from gateway.submission.blob_room import BlobRoom
from gateway.webhooks.announcer import Announcer
from pipeline.settings import Settings
from storage.blobs import Blobs
from tests.support.fakes import UNREACHABLE_URL, FakeJobs, FakeQueues, FakeStores

POLL_INTERVAL_SECONDS = 0.01
SETTINGS = Settings(redis_url="memory://", result_url=UNREACHABLE_URL, blob_url="memory:///")


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[EventDict]]:
    """What is logged, kept instead of written."""
    with capture_logs() as logs:
        yield logs


@pytest.fixture
def jobs() -> FakeJobs:
    return FakeJobs()


@pytest.fixture
def blobs() -> Blobs:
    return Blobs.open("memory:///")


@pytest.fixture
def stores(jobs: FakeJobs, blobs: Blobs) -> FakeStores:
    return FakeStores(jobs, blobs)


@pytest.fixture
def queues() -> FakeQueues:
    return FakeQueues()


@pytest.fixture(scope="session")
def app() -> FastAPI:
    """The gateway, made once: FastAPI takes its time over the first request to each route."""
    return create_app(SETTINGS)


@pytest.fixture
def settings() -> Settings:
    """What the gateway is asked under; a file of tests may put its own."""
    return SETTINGS


@pytest.fixture
async def http(
    app: FastAPI, settings: Settings, stores: FakeStores, queues: FakeQueues
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway, whose lifespan does not run: no sweeper takes part."""
    app.state.settings, app.state.stores, app.state.queues = settings, stores, queues
    app.state.blob_room = BlobRoom(settings.blobs, upload_bytes=settings.limits.upload_bytes)
    app.state.backlog, app.state.feed = (
        Backlog(),
        Feed(stores.jobs, queues, poll_interval_seconds=POLL_INTERVAL_SECONDS),
    )
    app.state.event_feed = EventFeed(stores.jobs)
    app.state.announcer = Announcer(stores, queues, settings, app.state.metrics.events)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        run_in_background(app.state.feed.run()),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client

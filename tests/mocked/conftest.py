"""The gateway alone: MagicMocks in the place of Celery's publishing, the database and the blobs. Nothing is executed.

Everywhere else the tests use fakes and real servers. These say, in a second, that each route asks for the right thing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cache
from types import SimpleNamespace
from typing import cast
from unittest.mock import AsyncMock, MagicMock, create_autospec, patch

import httpx
import pytest
from celery.canvas import Signature, _chain
from fastapi import FastAPI
from structlog.testing import capture_logs

from gateway.app import create_app
from gateway.feed import Feed
from gateway.submission.backpressure import Backlog
from pipeline.queues.queues import Queues
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.delivery_store import Deliveries
from storage.documents import Job
from storage.idempotency import IdempotencyKeys
from storage.jobs import Jobs
from storage.stores import Stores
from storage.token_uses import TokenUses
from storage.webhook_store import Webhooks
from tests.support.announcing import new_announcer

SETTINGS = Settings(redis_url="redis://nowhere.invalid/0", blob_url="memory:///")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep what is logged to itself: a traceback with mocks in it takes seconds to draw."""
    with capture_logs():
        yield


def mock_of(kind: type) -> MagicMock:
    """Return the mock of an instance of this class, which has forgotten what tests before told it."""
    mock = _make_mock(kind)
    mock.reset_mock(return_value=True, side_effect=True)
    return mock


@cache
def _make_mock(kind: type) -> MagicMock:
    """Make it once: to read all those signatures takes as long as ten tests do."""
    mock: MagicMock = create_autospec(kind, instance=True)
    return mock


@pytest.fixture
def jobs() -> MagicMock:
    """The job documents: an AsyncMock for each method, of the method's own signature."""
    mock = mock_of(Jobs)
    mock.find_duplicate.return_value = None
    return mock


@pytest.fixture
def blob_writer() -> AsyncMock:
    """The file that a blob is written to."""
    return AsyncMock()


@pytest.fixture
def blobs(blob_writer: AsyncMock) -> MagicMock:
    """The blob store."""
    mock = mock_of(Blobs)
    mock.writer.return_value.__aenter__.return_value = blob_writer
    mock.is_local = False
    return mock


@pytest.fixture
def stores(jobs: MagicMock, blobs: MagicMock) -> SimpleNamespace:
    """What the gateway keeps things in. Nobody has a webhook."""
    webhooks = mock_of(Webhooks)
    webhooks.list_enabled.return_value = []
    return SimpleNamespace(
        jobs=jobs,
        blobs=blobs,
        idempotency_keys=mock_of(IdempotencyKeys),
        token_uses=mock_of(TokenUses),
        webhooks=webhooks,
        deliveries=mock_of(Deliveries),
        ping=AsyncMock(),
    )


@pytest.fixture
def queues() -> MagicMock:
    """The broker, for reading: nothing waits."""
    mock = mock_of(Queues)
    mock.read_max_queue_length.return_value = 0
    return mock


@pytest.fixture(autouse=True)
def apply_async() -> Iterator[MagicMock]:
    """Celery's publishing of a canvas: called with it, going nowhere. Anything else that would publish is an error."""
    unexpected = AssertionError("a task was published by itself")
    with (
        patch.object(_chain, "apply_async", autospec=True) as publish,
        patch.object(Signature, "apply_async", side_effect=unexpected),
        patch("celery.app.base.Celery.send_task", side_effect=unexpected),
        patch.object(Job, "get_motor_collection", return_value=MagicMock()),  # a document asks for it when it is made
    ):
        yield publish


@pytest.fixture(scope="session")
def app() -> FastAPI:
    """The gateway; its lifespan does not run, so it opens nothing."""
    return create_app(SETTINGS)


@pytest.fixture
async def http(
    app: FastAPI, stores: SimpleNamespace, queues: MagicMock, jobs: MagicMock
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway, without a socket."""
    app.state.settings, app.state.stores, app.state.queues = SETTINGS, stores, queues
    app.state.backlog, app.state.feed = Backlog(), Feed(jobs, queues)
    app.state.announcer = new_announcer(cast("Stores", stores), SETTINGS)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client

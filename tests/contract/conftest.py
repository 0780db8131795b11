"""The real stores, on a real server each, emptied for every test; and their fakes beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest
from redis import Redis
from structlog.testing import capture_logs
from structlog.typing import EventDict

from deploy.stack import Stack
from pipeline.settings import Settings
from storage.documents import Job
from storage.ledger import Ledger
from storage.stores import Stores, open_stores, open_worker_stores
from tests.fakes import FakeBroker, publish_to

PATIENCE_MS = 60_000


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[EventDict]]:
    """What is logged, kept instead of written."""
    with capture_logs() as logs:
        yield logs


@pytest.fixture(scope="session")
def mongo_url(servers: Stack) -> str:
    """A database that only these tests use."""
    return urlsplit(servers.mongo_url)._replace(path="/darkroom-contract").geturl()


@pytest.fixture
async def stores(mongo_url: str) -> AsyncIterator[Stores]:
    """The gateway's side, with no job in it."""
    async with open_stores(mongo_url=mongo_url, blob_url="memory:///", timeout_ms=5000) as stores:
        await Job.get_motor_collection().delete_many({})
        yield stores


@pytest.fixture
def ledger(mongo_url: str) -> Iterator[Ledger]:
    """The worker's side of the same jobs."""
    with open_worker_stores(
        mongo_url=mongo_url, blob_url="memory:///", timeout_ms=5000, patience_ms=PATIENCE_MS
    ) as worker:
        yield worker.ledger


@pytest.fixture
def settings(servers: Stack, mongo_url: str) -> Settings:
    """Settings that name the real servers, and databases in them that only these tests use."""
    redis_url = urlsplit(servers.redis_url)._replace(path="/14").geturl()
    return Settings(redis_url=redis_url, mongo_url=mongo_url, blob_url="memory:///")


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    """The broker, empty, and where the app publishes to."""
    publish_to(settings)
    with Redis.from_url(settings.redis_url) as redis, Redis.from_url(settings.result_backend_url) as results:
        redis.flushdb()
        results.flushdb()
        yield redis
    publish_to(FakeBroker.settings)

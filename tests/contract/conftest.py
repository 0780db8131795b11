"""The real stores, on a real server each, emptied for every test; and their fakes beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pymongo import monitoring
from redis import Redis
from structlog.testing import capture_logs
from structlog.typing import EventDict

from deploy.local.scratch_database import drop_database, name_scratch_database
from deploy.local.stack import Stack
from gateway.app import create_app
from gateway.event_feed.feed import EventFeed
from gateway.feed import Feed
from gateway.submission.backpressure import Backlog
from gateway.unreadable import log_unreadable
from gateway.webhooks.announcer import Announcer
from pipeline.http_settings import AccessSettings
from pipeline.operations import check_job
from pipeline.settings import Settings
from stages.limits import Limits
from storage.blobs import Blobs
from storage.bulk_actions import COLLECTION as BULK_ACTIONS
from storage.delivery_ledger import DeliveryLedger
from storage.documents import Job
from storage.idempotency import IdempotencyKey
from storage.jobs import Jobs
from storage.leases import COLLECTION as LEASES
from storage.ledger import Ledger
from storage.resumable_uploads import COLLECTION as RESUMABLE_UPLOADS
from storage.stores import Stores, open_stores, open_worker_stores
from storage.token_uses import COLLECTION as TOKEN_USES
from storage.webhooks import DELIVERIES, ENDPOINTS
from tests.contract.http_helpers import ADA_KEY, ZOE_KEY
from tests.support.fakes import FakeBroker, FakeJobs, FakeQueues, use_broker
from tests.support.object_store import ObjectStore, run_object_store

DOCUMENT_FIXTURES = frozenset({"stores", "ledger", "delivery_ledger"})
FOREIGN_FIXTURES = frozenset({"s3_server", "rabbitmq", "replica_set"})
"""What the tests of the documents use, and what others beside them are about: see `tests.tools.judge`."""
SCHEDULES = "schedules"
"""The end of the names of files whose tests send the commands of others again, in many orders."""
PATIENCE_MS = 60_000
UPLOAD_BYTES = 200_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests in this folder that judge documents."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and _judges_documents(item):
            item.add_marker(pytest.mark.documents)


def _judges_documents(item: pytest.Item) -> bool:
    if item.path.stem.endswith(SCHEDULES):
        return False
    names = frozenset(getattr(item, "fixturenames", ()))
    has_real_stores = "real" in getattr(getattr(item, "callspec", None), "params", {}).values()
    return (has_real_stores or not names.isdisjoint(DOCUMENT_FIXTURES)) and names.isdisjoint(FOREIGN_FIXTURES)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[EventDict]]:
    """What is logged, kept instead of written."""
    with capture_logs() as logs:
        yield logs


@pytest.fixture(scope="session")
def mongo_url(redis_and_mongo: Stack) -> Iterator[str]:
    """A database that only these tests use, in this process: others may run them on the same server."""
    url = name_scratch_database(redis_and_mongo.mongo_url)
    yield url
    drop_database(url)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An object store with one bucket, `contract`."""
    with run_object_store(tmp_path_factory.mktemp("s3_server")) as store:
        store.create_bucket("contract")
        yield store


@pytest.fixture
def bucket_url(s3_server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place of the test's own in that bucket, and in the environment what it takes to get there."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://contract/{uuid4()}"


class FindCommands(monitoring.CommandListener):
    """The `find` commands that drivers send."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name == "find":
            self.sent.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.fixture(scope="session")
def finds() -> FindCommands:
    """The `find` commands of clients that are opened from now on."""
    monitoring.register(finds := FindCommands())
    return finds


@pytest.fixture(scope="session")
async def opened_stores(mongo_url: str, finds: FindCommands) -> AsyncIterator[Stores]:  # noqa: ARG001
    """The gateway's side, connected once: its indexes are made, or found, each time."""
    options: Any = {"check_job": check_job, "report_unreadable": log_unreadable}
    async with open_stores(mongo_url=mongo_url, blob_url="memory:///", timeout_ms=5000, **options) as stores:
        yield stores


@pytest.fixture
async def stores(opened_stores: Stores) -> Stores:
    """The gateway's side, with no job, no key, no upload, no count and no blob in it."""
    await Job.get_motor_collection().delete_many({})
    await IdempotencyKey.get_motor_collection().delete_many({})
    for name in (LEASES, RESUMABLE_UPLOADS, TOKEN_USES, BULK_ACTIONS, ENDPOINTS, DELIVERIES):
        await Job.get_motor_collection().database[name].delete_many({})
    return replace(opened_stores, blobs=Blobs.open("memory:///"))


@pytest.fixture(scope="session")
def ledger(mongo_url: str) -> Iterator[Ledger]:
    """The worker's side of the same jobs."""
    with open_worker_stores(
        mongo_url=mongo_url,
        blob_url="memory:///",
        timeout_ms=5000,
        stall_timeout_ms=PATIENCE_MS,
        check_job=check_job,
    ) as worker:
        yield worker.ledger


@pytest.fixture(scope="session")
def delivery_ledger(mongo_url: str) -> Iterator[DeliveryLedger]:
    """The worker's side of the webhooks."""
    options: dict[str, Any] = {"timeout_ms": 5000, "stall_timeout_ms": PATIENCE_MS}
    with open_worker_stores(mongo_url=mongo_url, blob_url="memory:///", **options) as worker:
        yield worker.deliveries


@pytest.fixture
def settings(redis_and_mongo: Stack, mongo_url: str) -> Settings:
    """Settings that name the real servers, and databases in them that only these tests use."""
    redis_url = urlsplit(redis_and_mongo.redis_url)._replace(path="/14").geturl()
    limits = Limits(upload_bytes=UPLOAD_BYTES)
    return Settings(redis_url=redis_url, mongo_url=mongo_url, blob_url="memory:///", limits=limits)


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    """The broker, empty, and where the app publishes to."""
    use_broker(settings)
    with Redis.from_url(settings.redis_url) as redis, Redis.from_url(settings.result_backend_url) as results:
        redis.flushdb()
        results.flushdb()
        yield redis
    use_broker(FakeBroker.settings)


@pytest.fixture
def gateway(stores: Stores, settings: Settings, redis: Redis) -> FastAPI:  # noqa: ARG001
    return create_gateway(stores, settings)


@pytest.fixture
async def keyed_client(stores: Stores, settings: Settings, redis: Redis) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001
    """A gateway where Ada and Zoe have keys, and where duplicates are looked for."""
    keys = {owner: sha256(key.encode()).hexdigest() for owner, key in (("ada", ADA_KEY), ("zoe", ZOE_KEY))}
    changes = {"api_keys": keys, "access": AccessSettings(deduplicate=True)}
    async with create_client(create_gateway(stores, settings.model_copy(update=changes))) as client:
        yield client


@pytest.fixture
async def http(gateway: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(gateway) as client:
        yield client


def create_gateway(stores: Stores, settings: Settings) -> FastAPI:
    """Return a gateway over these stores, without a sweeper."""
    app = create_app(settings)
    app.state.settings, app.state.stores = settings, stores
    app.state.queues, app.state.backlog = FakeQueues(), Backlog()
    app.state.feed, app.state.event_feed = Feed(stores.jobs, app.state.queues), EventFeed(stores.jobs)
    app.state.announcer = Announcer(stores, app.state.queues, settings, app.state.metrics.events)
    return app


def create_client(app: FastAPI) -> httpx.AsyncClient:
    """Return a client of a gateway, for a `with` statement."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.fixture(params=["real", "fake"])
def jobs(request: pytest.FixtureRequest) -> Jobs:
    """The jobs of the stores, then the fake: both pass the same tests."""
    if request.param == "fake":
        return FakeJobs()
    found: Jobs = request.getfixturevalue("stores").jobs
    return found

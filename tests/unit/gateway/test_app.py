"""The front door: what its lifespan puts in place."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.middleware.errors import ServerErrorMiddleware

from gateway.app import create_app
from gateway.middleware.access_log import AccessLog
from gateway.middleware.allowed_hosts import AllowedHosts
from gateway.middleware.authorization import Authorization
from gateway.middleware.body_limit import BodyLimit
from gateway.middleware.body_timeout import BodyTimeout
from gateway.middleware.cors import Cors
from gateway.middleware.cross_site import CrossSite
from gateway.middleware.options import Options
from gateway.middleware.rate_limit import RateLimit
from gateway.middleware.resource_policy import ResourcePolicy
from gateway.middleware.root_path import RootPath
from gateway.middleware.trusted_proxies import TrustedProxies
from gateway.middleware.tus import Tus
from gateway.sizes import FORM_OVERHEAD_BYTES
from pipeline.celery import app as celery
from pipeline.http_settings import AccessSettings
from pipeline.settings import Settings, SweeperSettings
from pipeline.worker_settings import BrokerSettings
from stages.limits import Limits
from storage.blobs import Blobs
from storage.documents import Job
from storage.webhooks import Delivery
from tests.support.announcing import new_ended_job
from tests.support.fakes import SHA256, UNREACHABLE_URL, FakeBroker, FakeJobs, FakeQueues, FakeStores, use_broker
from tests.support.webhook_fakes import FakeDeliveries, FakeWebhooks
from tests.support.webhooks import new_endpoint

SETTINGS = Settings(
    redis_url="memory://",
    result_url=UNREACHABLE_URL,
    limits=Limits(upload_bytes=1000),
    broker=BrokerSettings(publish_timeout=0.7),
    sweeper=SweeperSettings(interval=0.001),
)


class WatchedJobs(FakeJobs):
    """Jobs that tell when they were asked what is due."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = asyncio.Queue[None]()

    async def find_due(self, *, limit: int) -> list[Job]:
        await self.rounds.put(None)
        return await super().find_due(limit=limit)


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

    use_broker(FakeBroker.settings)
    assert timeout == 0.7


async def test_a_gateway_sweeps_while_it_lives(own_app: FastAPI, jobs: WatchedJobs) -> None:
    async with own_app.router.lifespan_context(own_app), asyncio.timeout(5):
        for _ in range(3):
            await jobs.rounds.get()


class WatchedDeliveries(FakeDeliveries):
    """Deliveries that tell when some are inserted."""

    def __init__(self, webhooks: FakeWebhooks) -> None:
        super().__init__(webhooks)
        self.inserted = asyncio.Queue[list[str]]()

    async def insert_new(self, deliveries: Sequence[Delivery]) -> None:
        await self.inserted.put([delivery.id for delivery in deliveries])


async def test_a_gateway_hands_events_over_while_it_lives(jobs: WatchedJobs, blobs: Blobs, queues: FakeQueues) -> None:
    deliveries = WatchedDeliveries(webhooks := FakeWebhooks())
    await webhooks.insert(new_endpoint(id="here"))
    await jobs.insert(job := new_ended_job())
    own_app = create_app(
        SETTINGS, stores=FakeStores(jobs, blobs, webhooks=webhooks, deliveries=deliveries), queues=queues
    )

    async with own_app.router.lifespan_context(own_app), asyncio.timeout(10):
        assert await deliveries.inserted.get() == [f"{job.id}-0-1-done.here"]


async def test_a_gateway_that_ended_sweeps_no_more(own_app: FastAPI, jobs: WatchedJobs) -> None:
    before = asyncio.all_tasks()

    async with own_app.router.lifespan_context(own_app), asyncio.timeout(5):
        await jobs.rounds.get()

    assert asyncio.all_tasks() == before


def guards(settings: Settings) -> dict[type, dict[str, Any]]:
    """Return the guards of a gateway and how they were set, the one that is asked first in front."""
    return {cast("type", guard.cls): guard.kwargs for guard in create_app(settings).user_middleware}


def test_a_body_may_be_as_large_as_its_file_and_its_form() -> None:
    assert guards(SETTINGS)[BodyLimit] == {"limit": 1000 + FORM_OVERHEAD_BYTES}


def test_a_request_is_asked_for_its_key_before_it_is_counted_and_before_its_body_is() -> None:
    access = AccessSettings(rate_limit="60/minute")

    assert list(guards(SETTINGS.model_copy(update={"access": access}))) == [
        TrustedProxies,
        AccessLog,
        Cors,
        ResourcePolicy,
        ServerErrorMiddleware,
        AllowedHosts,
        CrossSite,
        Tus,
        Options,
        Authorization,
        RateLimit,
        BodyLimit,
        BodyTimeout,
        RootPath,
    ]


def test_requests_are_not_counted_unless_a_limit_is_set() -> None:
    assert list(guards(SETTINGS)) == [
        TrustedProxies,
        AccessLog,
        Cors,
        ResourcePolicy,
        ServerErrorMiddleware,
        AllowedHosts,
        CrossSite,
        Tus,
        Options,
        Authorization,
        BodyLimit,
        BodyTimeout,
        RootPath,
    ]


def test_requests_are_counted_up_to_the_limit_that_is_set() -> None:
    access = AccessSettings(rate_limit="7/hour")

    limit = guards(SETTINGS.model_copy(update={"access": access}))[RateLimit]["posts"]

    assert (limit.amount, limit.get_expiry()) == (7, 3600)


async def test_lists_are_counted_apart_from_posts_and_other_requests_are_not(stores: FakeStores) -> None:
    access = AccessSettings(rate_limit="1/hour", list_rate_limit="2/hour")
    limited = create_app(SETTINGS.model_copy(update={"access": access}))
    limited.state.settings, limited.state.stores = SETTINGS, stores
    transport = httpx.ASGITransport(limited, client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        lists = [await client.request(method, "/jobs") for method in ("GET", "HEAD", "GET")]
        others = [await client.get("/capabilities"), await client.get("/jobs/nothing"), await client.post("/nowhere")]

    assert [answer.status_code for answer in lists] == [200, 200, 429]
    assert lists[2].json()["code"] == "rate_limited"
    assert lists[2].headers["ratelimit-policy"] == '"lists";q=2;w=3600'
    assert [answer.status_code for answer in others] == [200, 405, 404]


def test_the_keys_are_those_that_are_set() -> None:
    access = {
        "api_keys": {"ada": SHA256},
        "signing_secrets": {"ada": (SecretStr("s" * 32),)},
        "key_presets": {"ada": ("product",)},
    }

    guard = guards(SETTINGS.model_copy(update=access))[Authorization]

    assert guard == dict(zip(("keys", "secrets", "presets"), access.values(), strict=True))


async def test_a_gateway_begins_with_an_empty_backlog(own_app: FastAPI, queues: FakeQueues) -> None:
    async with own_app.router.lifespan_context(own_app):
        assert await own_app.state.backlog.read_longest(queues) == 0


@pytest.mark.parametrize("path", ["/upload", "/crop", "/grayscale", "/resize", "/process"])
def test_the_api_describes_the_forms_of_its_routes(app: FastAPI, path: str) -> None:
    body = app.openapi()["paths"][path]["post"]["requestBody"]

    assert "file" in body["content"]["multipart/form-data"]["schema"]["properties"]


@pytest.mark.parametrize("path", ["/upload", "/crop"])
def test_an_image_is_a_file_or_somewhere_else(app: FastAPI, path: str) -> None:
    body = app.openapi()["paths"][path]["post"]["requestBody"]

    schema = body["content"]["multipart/form-data"]["schema"]
    assert {"file", "source_url", "source_key"} <= schema["properties"].keys()
    assert "required" not in schema

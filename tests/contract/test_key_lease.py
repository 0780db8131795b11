"""The lease of an Idempotency-Key: renewed while its request is received, longer while its job is inserted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from pymongo.errors import AutoReconnect

from pipeline.http_settings import HttpSettings
from pipeline.settings import Settings
from storage.clock import now_ms
from storage.documents import Job
from storage.idempotency import IdempotencyKey, IdempotencyKeys
from storage.jobs import Jobs
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import CAT_PART, list_job_ids, post
from tests.contract.test_idempotency import LostJobs
from tests.support.fakes import FORM_TYPE, FakeStores, form

LEASE_MS = 1000
SECONDS = 20
HEADERS = {"Content-Type": FORM_TYPE, "Idempotency-Key": "key"}
KEY = ":key"


class FlakyKeys(IdempotencyKeys):
    """Keys of a database that is away until the lease has ended."""

    is_over = False

    async def extend_lease(self, key: str, *, job_id: str, lease_ms: int) -> bool:
        if not self.is_over:
            self.is_over = (await find_key()).expires_ms < now_ms()
            raise AutoReconnect("10.0.0.7 is away")
        return await super().extend_lease(key, job_id=job_id, lease_ms=lease_ms)


class CountedJobs(Jobs):
    """Jobs that count those that are inserted, also those that are withdrawn later."""

    inserted = 0

    async def insert(self, job: Job) -> None:
        self.inserted += 1
        await super().insert(job)


class LateJobs(Jobs):
    """Jobs whose insert takes so long that another request takes the key."""

    async def insert(self, job: Job) -> None:
        await give_key_to("another")
        await super().insert(job)


async def find_key() -> IdempotencyKey:
    found: IdempotencyKey | None = await IdempotencyKey.get(KEY)
    assert found is not None
    return found


async def give_key_to(job_id: str) -> None:
    changes = {"task_id": job_id, "expires_ms": now_ms() + 60_000}
    await IdempotencyKey.get_motor_collection().update_one({"_id": KEY}, {"$set": changes})


async def wait_for_renewals(count: int) -> None:
    """Return once the lease has been renewed, in all by this many leases."""
    enough_ms = (await find_key()).expires_ms + count * LEASE_MS
    async with asyncio.timeout(SECONDS):
        while (await find_key()).expires_ms < enough_ms:  # noqa: ASYNC110  # the database has no event
            await asyncio.sleep(LEASE_MS / 10_000)


def create_client_of(stores: Stores, settings: Settings) -> httpx.AsyncClient:
    http = HttpSettings(key_lease=LEASE_MS / 1000)
    return create_client(create_gateway(stores, settings.model_copy(update={"http": http})))


@pytest.fixture
async def short(stores: Stores, settings: Settings, redis: object) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001
    """A client of a gateway with short leases."""
    async with create_client_of(stores, settings) as client:
        yield client


async def test_an_upload_that_takes_longer_than_the_lease_is_accepted(short: httpx.AsyncClient) -> None:
    meanwhile: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        yield form(CAT_PART)[:1000]
        await wait_for_renewals(2)
        meanwhile.append((await post(short, CAT_PART, key="key")).status_code)
        yield form(CAT_PART)[1000:]

    answer = await short.post("/upload", content=body(), headers=HEADERS)

    assert (answer.status_code, meanwhile) == (202, [409])
    assert await list_job_ids() == [answer.json()["task_id"]]


async def test_a_lease_that_ended_while_the_database_was_away_is_renewed(stores: Stores, settings: Settings) -> None:
    keys = FlakyKeys()

    async def body() -> AsyncIterator[bytes]:
        yield form(CAT_PART)[:1000]
        await wait_for_renewals(1)
        yield form(CAT_PART)[1000:]

    async with create_client_of(replace(stores, idempotency_keys=keys), settings) as short:
        answer = await short.post("/upload", content=body(), headers=HEADERS)

    assert (answer.status_code, keys.is_over) == (202, True)


async def test_a_request_whose_key_another_one_takes_ends_at_once(short: httpx.AsyncClient, stores: Stores) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield form(CAT_PART)[:1000]
        await give_key_to("another")
        await asyncio.Event().wait()

    async with asyncio.timeout(SECONDS):
        answer = await short.post("/upload", content=body(), headers=HEADERS)

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_use")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])
    assert (await find_key()).job_id == "another"


async def test_a_request_that_has_lost_its_key_before_its_next_renewal_inserts_no_job(
    stores: Stores, settings: Settings
) -> None:
    jobs = CountedJobs(list_timeout_ms=5000)

    async def body() -> AsyncIterator[bytes]:
        yield form(CAT_PART)[:1000]
        await give_key_to("another")
        yield form(CAT_PART)[1000:]

    counted = FakeStores(jobs, stores.blobs, stores.idempotency_keys)
    async with create_client(create_gateway(counted, settings)) as http:
        answer = await http.post("/upload", content=body(), headers=HEADERS)

    assert (answer.status_code, answer.json()["code"], jobs.inserted) == (409, "idempotency_key_in_use", 0)


async def test_a_key_has_one_job_though_another_request_took_it_during_the_insert(
    stores: Stores, settings: Settings
) -> None:
    late = FakeStores(LateJobs(list_timeout_ms=5000), stores.blobs, stores.idempotency_keys)
    async with create_client(create_gateway(late, settings)) as http:
        answer = await post(http, CAT_PART, key="key")

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_use")
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])
    assert (await find_key()).job_id == "another"


async def test_a_key_outlasts_the_insert_of_its_job_but_not_by_much(stores: Stores, settings: Settings) -> None:
    lost = FakeStores(LostJobs(), stores.blobs, stores.idempotency_keys)
    before = now_ms()
    async with create_client_of(lost, settings) as http:
        await post(http, CAT_PART, key="key")

    longest_ms = 8 * int(settings.mongo_timeout * 1000)  # find a server, connect, wait twice as long; and once again
    assert before + longest_ms <= (await find_key()).expires_ms <= now_ms() + longest_ms

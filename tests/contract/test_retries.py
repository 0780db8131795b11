"""What is tried again has what it needs for it: a retried job its dispatches, a repeated request its job."""

from __future__ import annotations

import httpx
import pytest
from redis import Redis

from pipeline.settings import Settings
from pipeline.sweeper import Sweeper
from storage.documents import JobState
from storage.idempotency import IdempotencyKey
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import CAT_PART, post
from tests.contract.test_idempotency import UncertainJobs
from tests.support.fakes import FakeQueues, FakeStores, new_job, part


@pytest.mark.usefixtures("redis")
async def test_a_job_that_died_of_too_many_dispatches_has_new_ones_when_it_is_retried(
    stores: Stores, settings: Settings
) -> None:
    job = new_job(state=JobState.DEAD, generation=settings.sweeper.max_generation, finished_ms=1)
    await stores.jobs.insert(job)
    await stores.jobs.retry(await stores.jobs.get(job.id), next_dispatch_ms=0)

    await Sweeper(stores, FakeQueues(), settings).dispatch_due()

    assert (await stores.jobs.get(job.id)).is_active


async def test_a_key_whose_job_was_accepted_is_not_forgotten_before_it_was_told(
    stores: Stores, http: httpx.AsyncClient, settings: Settings
) -> None:
    uncertain = FakeStores(UncertainJobs(), stores.blobs, stores.idempotency_keys)
    async with create_client(create_gateway(uncertain, settings)) as broken:
        await post(broken, CAT_PART, key="k")
    await IdempotencyKey.get_motor_collection().update_many({}, {"$set": {"expires_ms": 1}})

    await stores.idempotency_keys.delete_expired()

    assert (await post(http, CAT_PART, key="k")).headers["idempotency-replayed"] == "true"


async def test_a_key_that_another_request_has_taken_is_not_held_for_longer(stores: Stores, redis: Redis) -> None:  # noqa: ARG001
    await stores.idempotency_keys.acquire("key", job_id="slow", lease_ms=-1)
    await stores.idempotency_keys.acquire("key", job_id="quick", lease_ms=60_000)

    assert not await stores.idempotency_keys.extend_lease("key", job_id="slow", lease_ms=60_000)
    assert await stores.idempotency_keys.extend_lease("key", job_id="quick", lease_ms=60_000)


@pytest.mark.parametrize("value", ["9" * 30, "20000.0", "20_000", "9" * 30 + ".0", "9_" * 20 + "9", "9" * 5000])
async def test_a_number_cannot_get_past_its_bound_in_disguise(
    http: httpx.AsyncClient, stores: Stores, value: str
) -> None:
    answer = await post(http, CAT_PART, part("width", value.encode()), path="/resize")

    assert answer.status_code == 422
    assert stores.blobs.list_folders() == []

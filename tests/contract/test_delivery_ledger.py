"""What a worker records of endpoints and deliveries, on Mongo's wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo import MongoClient

from storage.clock import now_ms
from storage.delivery_ledger import UNREADABLE_WAIT_MS, DeliveryLedger
from storage.documents import Job
from storage.errors import UnreadableDocument
from storage.stores import Stores, database_name, open_worker_stores
from storage.webhooks import (
    DELIVERIES,
    ENDPOINTS,
    MAX_TRIES_KEPT,
    Delivery,
    DeliveryState,
    DisabledReason,
    Try,
    WebhookEndpoint,
)
from tests.support.webhooks import ended_delivery, new_delivery, new_endpoint

LEASE_MS = 60_000
LATER_MS = 600_000
FAILURE = Try(at_ms=1, duration_ms=2, status=500)


@pytest.fixture(scope="session")
def reports() -> list[UnreadableDocument]:
    return []


@pytest.fixture(scope="session")
def opened_deliveries(mongo_url: str, reports: list[UnreadableDocument]) -> Iterator[DeliveryLedger]:
    options: dict[str, Any] = {"timeout_ms": 5000, "stall_timeout_ms": 1, "report_unsendable": reports.append}
    with open_worker_stores(mongo_url=mongo_url, blob_url="memory:///", **options) as worker:
        yield worker.deliveries


@pytest.fixture
def ledger(opened_deliveries: DeliveryLedger, stores: Stores, reports: list[UnreadableDocument]) -> DeliveryLedger:  # noqa: ARG001
    reports.clear()
    return opened_deliveries


async def insert(stores: Stores, **fields: Any) -> WebhookEndpoint:
    endpoint = new_endpoint(**fields)
    await stores.webhooks.insert(endpoint)
    return endpoint


async def hold(stores: Stores, ledger: DeliveryLedger, **fields: Any) -> WebhookEndpoint:
    endpoint = ledger.acquire((await insert(stores, **fields)).id, "holder", lease_ms=LEASE_MS)
    assert endpoint
    return endpoint


async def put(stores: Stores, *deliveries: Delivery) -> None:
    await stores.deliveries.insert_new(deliveries)


def due_ids(ledger: DeliveryLedger, endpoint: WebhookEndpoint, *busy: str, limit: int = 20) -> list[str]:
    return [each.id for each in ledger.read_due(endpoint, busy_jobs=busy, limit=limit)]


async def test_of_many_runs_one_holds_an_endpoint(stores: Stores, ledger: DeliveryLedger) -> None:
    endpoint = await insert(stores)

    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(lambda each: ledger.acquire(endpoint.id, str(each), lease_ms=LEASE_MS), range(6)))

    (held,) = [each for each in taken if each]
    assert held.lease_ms > now_ms()
    assert await stores.webhooks.get(endpoint.id, owner=None) == held


@pytest.mark.parametrize("fields", [{"disabled": DisabledReason.OWNER}, {"lease_ms": 9_999_999_999_999}])
async def test_an_endpoint_that_is_disabled_or_held_is_not_taken(
    stores: Stores, ledger: DeliveryLedger, fields: dict[str, Any]
) -> None:
    endpoint = await insert(stores, **fields)

    assert ledger.acquire(endpoint.id, "holder", lease_ms=LEASE_MS) is None
    assert ledger.acquire("gone", "holder", lease_ms=LEASE_MS) is None
    assert await stores.webhooks.get(endpoint.id, owner=None) == endpoint


async def test_a_run_whose_lease_has_ended_can_be_replaced_and_does_nothing_more(
    stores: Stores, ledger: DeliveryLedger
) -> None:
    endpoint = await insert(stores, due_ms=5)
    late = ledger.acquire(endpoint.id, "late", lease_ms=-1)
    assert late

    following = ledger.acquire(endpoint.id, "following", lease_ms=LEASE_MS)
    assert ledger.renew(late, lease_ms=LEASE_MS) is None
    ledger.release(late)

    assert following
    assert await stores.webhooks.get(endpoint.id, owner=None) == following


async def test_an_endpoint_whose_run_has_died_is_found_once_the_lease_has_ended(
    stores: Stores, ledger: DeliveryLedger
) -> None:
    endpoint = await insert(stores, due_ms=1)
    assert await stores.webhooks.reserve_dispatch(endpoint, delay_ms=LATER_MS)

    assert ledger.acquire(endpoint.id, "dead", lease_ms=-1)

    assert [each.id for each in await stores.webhooks.find_due(limit=5)] == [endpoint.id]


async def test_a_renewed_endpoint_is_as_its_owner_has_changed_it(stores: Stores, ledger: DeliveryLedger) -> None:
    held = await hold(stores, ledger)
    await stores.webhooks.change(held.id, {"url": "https://new.example"}, owner=None)

    renewed = ledger.renew(held, lease_ms=2 * LEASE_MS)

    assert renewed
    assert renewed.url == "https://new.example"
    assert renewed.lease_ms > held.lease_ms
    await stores.webhooks.change(held.id, {"disabled": DisabledReason.OWNER}, owner=None)
    assert ledger.renew(held, lease_ms=LEASE_MS) is None


@pytest.mark.usefixtures("stores")
async def test_an_endpoint_of_a_newer_version_is_left_to_a_newer_worker(
    ledger: DeliveryLedger, reports: list[UnreadableDocument]
) -> None:
    documents = Job.get_motor_collection().database[ENDPOINTS]
    newer = new_endpoint().model_dump(mode="json", by_alias=True) | {"events": {"job": 1}}
    await documents.insert_one(newer)

    assert ledger.acquire(newer["_id"], "holder", lease_ms=LEASE_MS) is None

    assert (await documents.find_one({"_id": newer["_id"]}) or {})["lease_ms"] == 0
    assert list(map(str, reports)) == [newer["_id"]]


async def test_due_deliveries_come_in_the_order_of_their_times(stores: Stores, ledger: DeliveryLedger) -> None:
    held, other = await hold(stores, ledger), await insert(stores)
    due = [new_delivery(held, next_try_ms=each) for each in (3, 1, 2)]
    later = new_delivery(held, next_try_ms=now_ms() + LATER_MS)
    await put(stores, *due, later, new_delivery(other), ended_delivery(held))

    found = ledger.read_due(held, busy_jobs=(), limit=20)

    assert found == [due[1], due[2], due[0]]
    assert due_ids(ledger, held, limit=2) == [due[1].id, due[2].id]
    assert due_ids(ledger, held, due[1].task_id, due[0].task_id) == [due[2].id]


@pytest.mark.parametrize("limit", [1, 2, 20])
async def test_of_each_job_the_earliest_event_comes_first(stores: Stores, ledger: DeliveryLedger, limit: int) -> None:
    held = await hold(stores, ledger)
    last = new_delivery(held, order="2", next_try_ms=1)
    first = new_delivery(held, task_id=last.task_id, order="1", next_try_ms=2)
    gone = ended_delivery(held, task_id=last.task_id, order="0")
    await put(stores, last, first, gone)

    assert due_ids(ledger, held, limit=limit) == [first.id]

    ledger.record_try(first, FAILURE, state=DeliveryState.FAILED, next_try_ms=None)
    assert due_ids(ledger, held, limit=limit) == [last.id]


@pytest.mark.parametrize("limit", [1, 2, 20])
async def test_events_that_wait_behind_another_are_due_with_it(
    stores: Stores, ledger: DeliveryLedger, limit: int
) -> None:
    held, later_ms = await hold(stores, ledger), now_ms() + LATER_MS
    heads = [new_delivery(held, order="1", tries=1, next_try_ms=later_ms + each) for each in range(3)]
    behind = [
        new_delivery(held, task_id=head.task_id, order=str(order), next_try_ms=1) for head in heads for order in (2, 3)
    ]
    free = new_delivery(held, next_try_ms=2)
    await put(stores, *heads, *behind, free)

    assert due_ids(ledger, held, limit=limit) == [free.id]

    ledger.record_try(free, FAILURE, state=DeliveryState.DELIVERED, next_try_ms=None)
    assert due_ids(ledger, held, limit=limit) == []
    ledger.release(held)
    assert (await stores.webhooks.get(held.id, owner=None)).due_ms == later_ms
    assert (await stores.deliveries.get(behind[0].id, owner=None)).next_try_ms == later_ms


async def test_a_delivery_of_a_newer_version_is_postponed(
    stores: Stores, ledger: DeliveryLedger, reports: list[UnreadableDocument]
) -> None:
    held = await hold(stores, ledger)
    readable = new_delivery(held, next_try_ms=2)
    newer = new_delivery(held, next_try_ms=1)
    behind = new_delivery(held, task_id=newer.task_id, order="9", next_try_ms=3)
    await put(stores, readable, newer, behind)
    documents = Job.get_motor_collection().database[DELIVERIES]
    await documents.update_one({"_id": newer.id}, {"$set": {"tries": {"count": 1}}})

    assert due_ids(ledger, held) == [readable.id]

    found = await documents.find_one({"_id": newer.id}) or {}
    assert now_ms() < found["next_try_ms"] <= now_ms() + UNREADABLE_WAIT_MS
    assert found["tries"] == {"count": 1}
    assert list(map(str, reports)) == [newer.id]
    ledger.record_try(readable, FAILURE, state=DeliveryState.FAILED, next_try_ms=None)
    assert due_ids(ledger, held) == []


async def test_a_try_is_recorded_once(stores: Stores, ledger: DeliveryLedger) -> None:
    held = await hold(stores, ledger)
    delivery = new_delivery(held)
    await put(stores, delivery)

    recorded = [
        ledger.record_try(delivery, FAILURE, state=DeliveryState.PENDING, next_try_ms=each) for each in (70, 80)
    ]

    found = await stores.deliveries.get(delivery.id, owner=None)
    assert recorded == [True, False]
    assert found == delivery.model_copy(update={"tries": 1, "next_try_ms": 70, "log": [FAILURE]})


async def test_a_delivery_that_is_delivered_ends_and_keeps_its_last_tries(
    stores: Stores, ledger: DeliveryLedger
) -> None:
    held, start_ms = await hold(stores, ledger), now_ms()
    tries = [Try(at_ms=each, duration_ms=1, error="timeout", detail="Slow.") for each in range(MAX_TRIES_KEPT)]
    delivery = new_delivery(held, log=tries)
    await put(stores, delivery)

    success = Try(at_ms=99, duration_ms=1, status=204)
    ledger.record_try(delivery, success, state=DeliveryState.DELIVERED, next_try_ms=None)

    found = await stores.deliveries.get(delivery.id, owner=None)
    assert (found.state, found.next_try_ms) == (DeliveryState.DELIVERED, None)
    assert start_ms <= (found.finished_ms or 0) <= now_ms()
    assert found.log == [*tries[1:], success]


async def test_the_first_failure_since_a_success_is_kept(stores: Stores, ledger: DeliveryLedger) -> None:
    held = await hold(stores, ledger)

    def read_again() -> int | None:
        renewed = ledger.renew(held, lease_ms=LEASE_MS)
        return renewed.failing_since_ms if renewed else -1

    ledger.record_success(held)
    times = [read_again()]
    for at_ms in (5, 6):
        ledger.record_failure(held, at_ms=at_ms)
        times.append(read_again())
    ledger.record_success(held)
    times.append(read_again())

    assert times == [None, 5, 5, None]


async def test_an_endpoint_is_disabled_once(stores: Stores, ledger: DeliveryLedger) -> None:
    held = await hold(stores, ledger)

    assert ledger.disable(held, DisabledReason.GONE)
    assert not ledger.disable(held, DisabledReason.FAILING)

    found = await stores.webhooks.get(held.id, owner=None)
    assert found.disabled is DisabledReason.GONE
    assert now_ms() - LATER_MS < (found.disabled_ms or 0) <= now_ms()


async def test_an_endpoint_with_another_address_is_not_disabled_for_its_former_one(
    stores: Stores, ledger: DeliveryLedger
) -> None:
    held = await hold(stores, ledger)
    await stores.webhooks.change(held.id, {"url": "https://new.example"}, owner=None)

    ledger.record_failure(held, at_ms=5)
    assert not ledger.disable(held, DisabledReason.GONE)

    found = await stores.webhooks.get(held.id, owner=None)
    assert (found.disabled, found.failing_since_ms) == (None, None)


@pytest.mark.parametrize("next_try_ms", [None, 40])
async def test_a_run_records_when_the_next_delivery_is_due(
    stores: Stores, ledger: DeliveryLedger, next_try_ms: int | None
) -> None:
    held = await hold(stores, ledger, due_ms=10, wakes=4, next_dispatch_ms=now_ms() + LATER_MS)
    if next_try_ms:
        await put(stores, new_delivery(held, next_try_ms=60), new_delivery(held, next_try_ms=next_try_ms))

    ledger.release(held)

    found = await stores.webhooks.get(held.id, owner=None)
    assert (found.due_ms, found.lease_ms, found.next_dispatch_ms) == (next_try_ms, 0, 0)


async def test_an_endpoint_can_be_released_until_later(stores: Stores, ledger: DeliveryLedger) -> None:
    held = await hold(stores, ledger)
    await put(stores, new_delivery(held, next_try_ms=40))

    ledger.release(held, not_before_ms=50)

    assert (await stores.webhooks.get(held.id, owner=None)).due_ms == 50


class SlowLedger(DeliveryLedger):
    """Lets others do something after it has looked for the next delivery."""

    meanwhile: Callable[[], None]

    def _find_next_due(self, endpoint_id: str) -> int | None:
        found = super()._find_next_due(endpoint_id)
        self.meanwhile()
        return found


@pytest.mark.parametrize("times", [1, 100])
async def test_a_delivery_that_is_added_while_a_run_ends_is_not_overlooked(
    stores: Stores, ledger: DeliveryLedger, mongo_url: str, times: int
) -> None:
    held, loop = await hold(stores, ledger), asyncio.get_running_loop()
    additions = iter(range(times))

    async def add() -> None:
        if next(additions, None) is not None:
            await put(stores, new_delivery(held, next_try_ms=20))
            await stores.webhooks.wake([held.id], now=20)

    with MongoClient[dict[str, Any]](mongo_url) as client:
        database = client[database_name(mongo_url)]
        slow = SlowLedger(database[ENDPOINTS], database[DELIVERIES])
        slow.meanwhile = lambda: asyncio.run_coroutine_threadsafe(add(), loop).result()
        await asyncio.to_thread(slow.release, held)

    found = await stores.webhooks.get(held.id, owner=None)
    assert (found.due_ms, found.lease_ms) == (20, 0)

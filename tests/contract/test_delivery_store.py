"""The deliveries of webhooks on Mongo's wire, as the gateway sees them, and the fake beside them."""

from __future__ import annotations

from typing import Any

import pytest

from storage.blobs import Blobs
from storage.clock import now_ms
from storage.delivery_store import EXTRA_READ, DeliveryCursor
from storage.documents import Job
from storage.errors import DeliveryNotFound, DeliveryUnreadable
from storage.stores import Stores
from storage.webhooks import DELIVERIES, DELIVERY_INDEXES, Delivery, DeliveryState, DisabledReason, Try
from tests.contract.conftest import FindCommands
from tests.support.fakes import FakeJobs, FakeStores
from tests.support.webhooks import ended_delivery, new_delivery, new_endpoint

LONG_MS = 600_000
ENDPOINT = new_endpoint(owner="ada")


@pytest.fixture(params=["real", "fake"])
def both(request: pytest.FixtureRequest) -> Stores:
    """The real stores, then the fakes: both pass the same tests."""
    if request.param == "fake":
        return FakeStores(FakeJobs(), Blobs.open("memory:///"))
    stores: Stores = request.getfixturevalue("stores")
    return stores


async def insert(stores: Stores, *deliveries: Delivery) -> None:
    await stores.deliveries.insert_new(deliveries)


async def read(stores: Stores, delivery: Delivery) -> Delivery:
    return await stores.deliveries.get(delivery.id, owner=None)


async def test_a_delivery_is_read_as_it_was_written(both: Stores) -> None:
    tries = [Try(at_ms=1, duration_ms=2, status=500, answer="no"), Try(at_ms=3, duration_ms=4, error="timeout")]
    delivery = new_delivery(ENDPOINT, log=tries, tries=2, payload='{"text": "\u00e9\u2603"}')

    await insert(both, delivery)

    assert await both.deliveries.get(delivery.id, owner="ada") == delivery
    with pytest.raises(DeliveryNotFound):
        await both.deliveries.get(delivery.id, owner="zoe")


@pytest.mark.parametrize("existing", [[0], [1], [2], [0, 2], [0, 1, 2], []])
async def test_deliveries_that_exist_are_left_as_they_are(both: Stores, existing: list[int]) -> None:
    deliveries = [new_delivery(ENDPOINT) for _ in range(3)]
    changed = [deliveries[each].model_copy(update={"tries": 7}) for each in existing]
    await insert(both, *changed)

    await insert(both, *deliveries)

    found = [await read(both, delivery) for delivery in deliveries]
    assert [delivery.tries for delivery in found] == [7 if each in existing else 0 for each in range(3)]


async def test_nothing_is_inserted_of_nothing(both: Stores) -> None:
    await insert(both)

    assert (await both.deliveries.page(ENDPOINT.id, state=None, before=None, limit=5)).deliveries == []


async def test_a_delivery_that_is_named_twice_is_inserted_once(both: Stores) -> None:
    delivery = new_delivery(ENDPOINT)

    await insert(both, delivery, delivery)

    page = await both.deliveries.page(ENDPOINT.id, state=None, before=None, limit=5)
    assert page.deliveries == [delivery]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_are_newest_first_and_have_each_delivery_once(both: Stores, limit: int) -> None:
    times = (1, 1, 1, 2, 3, 3, 4)  # those of one millisecond are on several pages
    deliveries = [new_delivery(ENDPOINT, created_ms=each) for each in times]
    await insert(both, *deliveries, new_delivery(new_endpoint()))

    seen: list[Delivery] = []
    before: DeliveryCursor | None = None
    while True:
        page = await both.deliveries.page(ENDPOINT.id, state=None, before=before, limit=limit)
        seen += page.deliveries
        if (before := page.next_before) is None:
            break

    assert seen == sorted(deliveries, key=lambda each: (each.created_ms, each.id), reverse=True)


async def test_more_deliveries_of_one_millisecond_than_are_read_at_once_are_on_pages(both: Stores) -> None:
    deliveries = [new_delivery(ENDPOINT, created_ms=5) for _ in range(EXTRA_READ + 5)]
    await insert(both, *deliveries, new_delivery(ENDPOINT, created_ms=4))

    page = await both.deliveries.page(ENDPOINT.id, state=None, before=None, limit=3)
    newest_first = sorted((delivery.id for delivery in deliveries), reverse=True)

    assert [delivery.id for delivery in page.deliveries] == newest_first[:3]
    assert page.next_before == DeliveryCursor(5, newest_first[2])


@pytest.mark.parametrize("before", [None, DeliveryCursor(9, "x")], ids=["first", "later"])
async def test_a_page_is_sorted_as_an_index_is(
    finds: FindCommands, stores: Stores, before: DeliveryCursor | None
) -> None:
    finds.sent.clear()

    await stores.deliveries.page(ENDPOINT.id, state=None, before=before, limit=2)

    sorts = [list(find["sort"]) for find in finds.sent if find["find"] == DELIVERIES]
    assert sorts == [["created_ms"]]


async def test_pages_are_of_one_state(both: Stores) -> None:
    failed = [ended_delivery(ENDPOINT, created_ms=each) for each in (1, 3)]
    await insert(both, *failed, new_delivery(ENDPOINT, created_ms=2))

    first = await both.deliveries.page(ENDPOINT.id, state=DeliveryState.FAILED, before=None, limit=1)
    second = await both.deliveries.page(ENDPOINT.id, state=DeliveryState.FAILED, before=first.next_before, limit=1)

    assert [first.deliveries, second.deliveries] == [[failed[1]], [failed[0]]]
    assert second.next_before is None


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.FAILED])
async def test_a_delivery_that_has_ended_is_delivered_again(both: Stores, state: DeliveryState) -> None:
    delivery, before = ended_delivery(ENDPOINT, state, log=[Try(at_ms=1, duration_ms=1, status=500)]), now_ms()
    await insert(both, delivery)

    assert await both.deliveries.redeliver(delivery)

    found = await read(both, delivery)
    assert (found.state, found.tries, found.finished_ms, found.log) == (DeliveryState.PENDING, 0, None, delivery.log)
    assert before <= (found.next_try_ms or 0) <= now_ms()


async def test_a_pending_delivery_is_tried_now(both: Stores) -> None:
    delivery = new_delivery(ENDPOINT, tries=4, next_try_ms=now_ms() + LONG_MS)
    await insert(both, delivery)

    assert await both.deliveries.redeliver(delivery)

    found = await read(both, delivery)
    assert (found.state, found.tries) == (DeliveryState.PENDING, 0)
    assert (found.next_try_ms or 0) <= now_ms()


async def test_events_that_wait_behind_a_delivery_are_due_with_it(both: Stores) -> None:
    later_ms = now_ms() + LONG_MS
    delivery = new_delivery(ENDPOINT, tries=4, next_try_ms=later_ms)
    behind = new_delivery(ENDPOINT, task_id=delivery.task_id, order="00000000-2", next_try_ms=later_ms)
    others = [
        new_delivery(ENDPOINT, next_try_ms=later_ms),
        new_delivery(new_endpoint(), task_id=delivery.task_id, next_try_ms=later_ms),
        ended_delivery(ENDPOINT, task_id=delivery.task_id, order="0", tries=0),
    ]
    await insert(both, delivery, behind, *others)

    await both.deliveries.redeliver(delivery)

    assert ((await read(both, behind)).next_try_ms or 0) <= now_ms()
    assert [await read(both, other) for other in others] == others


async def test_a_delivery_that_has_changed_since_it_was_seen_is_left(both: Stores) -> None:
    delivery = new_delivery(ENDPOINT, tries=4, next_try_ms=LONG_MS)
    await insert(both, delivery)

    for seen in ({"tries": 3}, {"state": DeliveryState.FAILED}, {"id": "gone"}):
        assert not await both.deliveries.redeliver(delivery.model_copy(update=seen))

    assert await read(both, delivery) == delivery


async def test_the_backlog_is_that_of_enabled_endpoints(both: Stores) -> None:
    enabled, disabled = new_endpoint(), new_endpoint(disabled=DisabledReason.FAILING)
    for endpoint in (enabled, disabled):
        await both.webhooks.insert(endpoint)
    assert await both.deliveries.read_backlog() == (0, None)
    pending = [new_delivery(enabled, created_ms=each) for each in (30, 20)]
    others = [new_delivery(disabled, created_ms=10), new_delivery(new_endpoint(), created_ms=10)]
    await insert(both, *pending, *others, ended_delivery(enabled, created_ms=10))

    assert await both.deliveries.read_backlog() == (2, 20)


CASES: list[tuple[dict[str, Any], bool]] = [
    ({"state": DeliveryState.DELIVERED, "next_try_ms": None, "finished_ms": 10}, False),
    ({"state": DeliveryState.FAILED, "next_try_ms": None, "finished_ms": 10}, False),
    ({"state": DeliveryState.FAILED, "next_try_ms": None, "finished_ms": 30}, True),
    ({"created_ms": 1, "next_try_ms": 30}, True),
    ({"created_ms": 1, "next_try_ms": 10}, False),
]


@pytest.mark.parametrize(("fields", "is_kept"), CASES, ids=["delivered", "failed", "recent", "pending", "not taken"])
async def test_only_deliveries_of_long_ago_are_deleted(both: Stores, fields: dict[str, Any], is_kept: bool) -> None:
    delivery = new_delivery(ENDPOINT, **fields)
    await insert(both, delivery)

    deleted = await both.deliveries.delete_ended(before_ms=20, limit=5)

    left = (await both.deliveries.page(ENDPOINT.id, state=None, before=None, limit=5)).deliveries
    assert (deleted, left) == ((0, [delivery]) if is_kept else (1, []))


async def test_deliveries_are_deleted_in_batches(both: Stores) -> None:
    await insert(both, *(ended_delivery(ENDPOINT, finished_ms=10) for _ in range(2)))
    await insert(both, *(new_delivery(ENDPOINT, next_try_ms=10) for _ in range(3)))

    assert [await both.deliveries.delete_ended(before_ms=20, limit=3) for _ in range(3)] == [3, 2, 0]


async def test_the_backlog_is_counted_without_reading_payloads(stores: Stores, finds: FindCommands) -> None:
    finds.sent.clear()

    await stores.deliveries.read_backlog()

    (find,) = (each for each in finds.sent if each["find"] == DELIVERIES)
    shown = {name for name, is_shown in find["projection"].items() if is_shown}
    needed = {*find["filter"], *find["sort"], *shown} | ({"_id"} if find["projection"].get("_id", 1) else set())
    assert any(needed == set(index.document["key"]) for index in DELIVERY_INDEXES)


async def test_a_delivery_of_a_newer_version_is_left_out(stores: Stores) -> None:
    newer = new_delivery(ENDPOINT).model_dump(mode="json", by_alias=True) | {"state": "paused"}
    await Job.get_motor_collection().database[DELIVERIES].insert_one(newer)

    page = await stores.deliveries.page(ENDPOINT.id, state=None, before=None, limit=5)

    assert page.deliveries == []
    with pytest.raises(DeliveryUnreadable):
        await stores.deliveries.get(newer["_id"], owner=None)


async def test_pending_deliveries_of_an_endpoint_are_made_due(both: Stores) -> None:
    far = now_ms() + LONG_MS
    late, past = new_delivery(ENDPOINT, next_try_ms=far), new_delivery(ENDPOINT, next_try_ms=1)
    ended, other = ended_delivery(ENDPOINT), new_delivery(new_endpoint(), next_try_ms=far)
    await insert(both, late, past, ended, other)

    await both.deliveries.make_due(ENDPOINT.id)

    found = [(await read(both, delivery)).next_try_ms for delivery in (late, past, ended, other)]
    assert found[0] is not None
    assert found[0] < far
    assert found[1:] == [1, None, far]

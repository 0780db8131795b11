"""The endpoints of webhooks on Mongo's wire, and the fake beside them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Job
from storage.errors import DeliveryNotFound, WebhookNotFound, WebhookUnreadable
from storage.stores import Stores
from storage.webhook_store import MAX_DISPATCH_WAIT_MS
from storage.webhooks import ENDPOINTS, DisabledReason, Secret, WebhookEndpoint
from tests.support.fakes import FakeJobs, FakeStores
from tests.support.webhooks import SECRET, new_delivery, new_endpoint

LONG_MS = 600_000


@pytest.fixture(params=["real", "fake"])
def both(request: pytest.FixtureRequest) -> Stores:
    """The real stores, then the fakes: both pass the same tests."""
    if request.param == "fake":
        return FakeStores(FakeJobs(), Blobs.open("memory:///"))
    stores: Stores = request.getfixturevalue("stores")
    return stores


async def insert(stores: Stores, **fields: Any) -> WebhookEndpoint:
    endpoint = new_endpoint(**fields)
    await stores.webhooks.insert(endpoint)
    return endpoint


async def read(stores: Stores, endpoint: WebhookEndpoint) -> WebhookEndpoint:
    return await stores.webhooks.get(endpoint.id, owner=None)


async def test_an_endpoint_is_read_as_it_was_written(both: Stores) -> None:
    endpoint = await insert(both, owner="ada", disabled=DisabledReason.GONE, failing_since_ms=4, is_thin=True)

    assert await both.webhooks.get(endpoint.id, owner="ada") == endpoint
    assert await both.webhooks.get(endpoint.id, owner=None) == endpoint


async def test_whether_events_are_sent_to_any_endpoint_is_known(both: Stores) -> None:
    known = [await both.webhooks.has_enabled()]
    await insert(both, owner="ada", disabled=DisabledReason.OWNER)
    known.append(await both.webhooks.has_enabled())
    await insert(both, owner="zoe")
    known.append(await both.webhooks.has_enabled())

    assert known == [False, False, True]


async def test_an_endpoint_of_another_owner_is_not_found(both: Stores) -> None:
    endpoint = await insert(both, owner="ada")

    for work in (
        both.webhooks.get(endpoint.id, owner="zoe"),
        both.webhooks.change(endpoint.id, {"url": "https://zoe.example"}, owner="zoe"),
        both.webhooks.remove(endpoint.id, owner="zoe"),
    ):
        with pytest.raises(WebhookNotFound):
            await work
    assert await read(both, endpoint) == endpoint


async def test_endpoints_of_an_owner_are_listed_newest_first(both: Stores) -> None:
    mine = [await insert(both, owner="ada", created_ms=1_000 + each) for each in range(3)]
    nobodys = await insert(both)
    disabled = await insert(both, owner="ada", created_ms=1_003, disabled=DisabledReason.OWNER)

    assert await both.webhooks.list("ada") == [disabled, *mine[::-1]]
    assert await both.webhooks.list_enabled("ada") == mine[::-1]
    assert await both.webhooks.list(None) == [nobodys]


async def test_endpoints_of_the_settings_do_not_count(both: Stores) -> None:
    await insert(both, owner="ada")
    await both.webhooks.put_fixed([new_endpoint(id="fixed-shop", owner="ada", secrets=[])])

    assert [await both.webhooks.count(owner) for owner in ("ada", "zoe", None)] == [1, 0, 0]


async def test_fields_that_the_owner_changes_leave_the_others(both: Stores) -> None:
    endpoint = await insert(both, owner="ada", wakes=3, due_ms=9, updated_ms=1)
    secrets = [Secret(value="whsec_new"), Secret(value=SECRET, expires_ms=5)]

    changed = await both.webhooks.change(endpoint.id, {"secrets": secrets, "events": []}, owner="ada")

    expected = endpoint.model_copy(update={"secrets": secrets, "events": [], "updated_ms": changed.updated_ms})
    assert changed == expected == await read(both, endpoint)
    assert changed.updated_ms > 1


async def test_who_disables_an_endpoint_records_when(both: Stores) -> None:
    endpoint, before = await insert(both, failing_since_ms=7), now_ms()

    changed = await both.webhooks.change(endpoint.id, {"disabled": DisabledReason.OWNER}, owner=None)

    assert changed.disabled is DisabledReason.OWNER
    assert before <= (changed.disabled_ms or 0) <= now_ms()
    assert changed.failing_since_ms == 7


async def test_an_endpoint_that_is_enabled_again_has_not_failed_yet(both: Stores) -> None:
    endpoint = await insert(both, disabled=DisabledReason.FAILING, disabled_ms=8, failing_since_ms=7)

    changed = await both.webhooks.change(endpoint.id, {"disabled": None}, owner=None)

    assert (changed.disabled, changed.disabled_ms, changed.failing_since_ms) == (None, None, None)


async def test_an_endpoint_goes_with_its_deliveries(both: Stores) -> None:
    endpoint, other = await insert(both), await insert(both)
    deliveries = [new_delivery(endpoint), new_delivery(other)]
    await both.deliveries.insert_new(deliveries)

    await both.webhooks.remove(endpoint.id, owner=None)

    assert await both.webhooks.list(None) == [other]
    with pytest.raises(DeliveryNotFound):
        await both.deliveries.get(deliveries[0].id, owner=None)
    assert await both.deliveries.get(deliveries[1].id, owner=None) == deliveries[1]


async def test_fixed_endpoints_are_those_of_the_settings(both: Stores) -> None:
    other = await insert(both)
    first, second = (new_endpoint(id=f"fixed-{name}", secrets=[]) for name in ("first", "second"))
    await both.webhooks.put_fixed([first, second])

    await both.webhooks.put_fixed([second])

    assert {endpoint.id for endpoint in await both.webhooks.list(None)} == {other.id, second.id}


async def test_fixed_endpoints_keep_what_has_become_of_them(both: Stores) -> None:
    endpoint = new_endpoint(id="fixed-shop", secrets=[])
    await both.webhooks.put_fixed([endpoint])
    await both.webhooks.wake([endpoint.id], now=5)
    await both.webhooks.change(endpoint.id, {"disabled": DisabledReason.GONE}, owner=None)

    await both.webhooks.put_fixed([endpoint.model_copy(update={"events": ["job.dead"], "owner": "ada"})])

    found = await read(both, endpoint)
    assert (found.events, found.owner) == (["job.dead"], "ada")
    assert (found.disabled, found.wakes, found.due_ms) == (DisabledReason.GONE, 1, 5)


async def test_a_fixed_endpoint_with_another_address_is_enabled_again(both: Stores) -> None:
    endpoint = new_endpoint(id="fixed-shop", secrets=[])
    await both.webhooks.put_fixed([endpoint])
    await both.webhooks.change(endpoint.id, {"disabled": DisabledReason.GONE}, owner=None)

    await both.webhooks.put_fixed([endpoint.model_copy(update={"url": "https://new.example"})])

    found = await read(both, endpoint)
    assert (found.url, found.disabled, found.disabled_ms) == ("https://new.example", None, None)


@pytest.mark.parametrize(("due_ms", "expected"), [(None, 50), (40, 40), (60, 50)])
async def test_an_endpoint_that_is_woken_is_due_no_later(both: Stores, due_ms: int | None, expected: int) -> None:
    endpoint, other = await insert(both, due_ms=due_ms), await insert(both)

    await both.webhooks.wake([endpoint.id, endpoint.id, "gone"], now=50)

    found = await read(both, endpoint)
    assert (found.due_ms, found.wakes) == (expected, 1)
    assert await read(both, other) == other


async def test_endpoints_that_are_due_are_found_the_longest_waiting_first(both: Stores) -> None:
    later, first = await insert(both, due_ms=20), await insert(both, due_ms=10, lease_ms=5, next_dispatch_ms=5)
    await insert(both)
    await insert(both, due_ms=10, disabled=DisabledReason.OWNER)
    for field in ("due_ms", "next_dispatch_ms", "lease_ms"):
        await insert(both, **{"due_ms": 10, field: now_ms() + LONG_MS})

    assert await both.webhooks.find_due(limit=5) == [first, later]
    assert await both.webhooks.find_due(limit=1) == [first]


@pytest.mark.parametrize("name", ["next_dispatch_ms", "lease_ms"])
async def test_a_message_or_run_of_before_a_step_of_the_clock_is_not_awaited(both: Stores, name: str) -> None:
    endpoint = await insert(both, due_ms=1, **{name: now_ms() + 3_600_000})
    await insert(both, due_ms=1, **{name: now_ms() + 60_000})

    await both.webhooks.end_long_waits()

    assert [each.id for each in await both.webhooks.find_due(limit=5)] == [endpoint.id]


async def test_of_many_gateways_one_sends_the_message_about_an_endpoint(both: Stores) -> None:
    endpoint = await insert(both, due_ms=1)

    reserved = await asyncio.gather(
        *(both.webhooks.reserve_dispatch(endpoint, delay_ms=each) for each in (0, 0, LONG_MS, LONG_MS))
    )

    assert reserved.count(True) == 1


async def test_no_message_is_sent_while_one_may_be_under_way(both: Stores) -> None:
    endpoint, before = await insert(both, due_ms=now_ms()), now_ms()

    assert await both.webhooks.reserve_dispatch(endpoint, delay_ms=LONG_MS)

    assert await both.webhooks.find_due(limit=5) == []
    assert before + LONG_MS <= (await read(both, endpoint)).next_dispatch_ms <= now_ms() + LONG_MS


@pytest.mark.parametrize(
    ("waited_ms", "shortest_ms"), [(0, 10_000), (9_000, 10_000), (300_000, 300_000), (10**9, MAX_DISPATCH_WAIT_MS)]
)
async def test_messages_that_no_worker_takes_become_fewer(both: Stores, waited_ms: int, shortest_ms: int) -> None:
    first_ms = now_ms() - waited_ms
    endpoint = await insert(both, due_ms=1, next_dispatch_ms=1, dispatched_ms=first_ms)

    before = now_ms()
    assert await both.webhooks.reserve_dispatch(endpoint, delay_ms=10_000)
    after = now_ms()

    longest_ms = max(10_000, min(after - first_ms, MAX_DISPATCH_WAIT_MS))
    assert before + shortest_ms <= (await read(both, endpoint)).next_dispatch_ms <= after + longest_ms


async def test_a_lost_message_about_an_endpoint_with_old_deliveries_is_made_up_for_as_soon_as_any(both: Stores) -> None:
    endpoint, before = await insert(both, due_ms=now_ms() - 10**6, dispatched_ms=now_ms() - 10**6), now_ms()

    assert await both.webhooks.reserve_dispatch(endpoint, delay_ms=10_000)

    reserved = await read(both, endpoint)
    assert before + 10_000 <= reserved.next_dispatch_ms <= now_ms() + 10_000
    assert before <= reserved.dispatched_ms <= now_ms()
    assert await both.webhooks.reserve_dispatch(reserved, delay_ms=10_000)
    assert (await read(both, endpoint)).dispatched_ms == reserved.dispatched_ms


async def test_disabled_endpoints_are_counted_by_reason(both: Stores) -> None:
    for disabled in (None, DisabledReason.GONE, DisabledReason.GONE, DisabledReason.OWNER):
        await insert(both, disabled=disabled)

    counts = await both.webhooks.count_disabled()

    assert counts == {DisabledReason.GONE: 2, DisabledReason.OWNER: 1, DisabledReason.FAILING: 0}


async def test_an_endpoint_of_a_newer_version_is_left_out(stores: Stores) -> None:
    endpoint = await insert(stores, due_ms=1)
    newer = new_endpoint(due_ms=1).model_dump(mode="json", by_alias=True) | {"disabled": None, "events": {"job": 1}}
    documents = Job.get_motor_collection().database[ENDPOINTS]
    await documents.insert_one(newer)

    assert await stores.webhooks.list(None) == [endpoint]
    assert await stores.webhooks.find_due(limit=5) == [endpoint]
    with pytest.raises(WebhookUnreadable):
        await stores.webhooks.get(newer["_id"], owner=None)
    assert await documents.find_one({"_id": newer["_id"]}) == newer


def test_a_secret_is_in_no_representation() -> None:
    assert SECRET not in repr(new_endpoint())


async def test_secrets_are_replaced_unless_the_owner_has_changed_the_endpoint(both: Stores) -> None:
    endpoint = new_endpoint(owner="ada")
    await both.webhooks.insert(endpoint)
    mine, theirs = [Secret(value="whsec_mine")], [Secret(value="whsec_theirs")]

    first = await both.webhooks.replace_secrets(endpoint, mine)
    second = await both.webhooks.replace_secrets(endpoint, theirs)

    assert (first and first.secrets, second) == (mine, None)
    assert await both.webhooks.get(endpoint.id, owner="ada") == first

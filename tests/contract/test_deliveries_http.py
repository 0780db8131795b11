"""Deliveries over HTTP, over the real stores and the fakes: pages, what is shown, redeliveries and tests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis import Redis

from gateway.webhooks.delivery_cursors import encode_cursor
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.delivery_store import DeliveryCursor
from storage.stores import Stores
from storage.webhooks import Delivery, DeliveryState, DisabledReason, Try, WebhookEndpoint
from tests.contract.conftest import create_client, create_gateway
from tests.support.fakes import FakeJobs, FakeStores
from tests.support.webhooks import ended_delivery, new_delivery, new_endpoint


@pytest.fixture(params=["real", "fake"])
def both(request: pytest.FixtureRequest) -> Stores:
    """The real stores, then the fakes."""
    if request.param == "fake":
        return FakeStores(FakeJobs(), Blobs.open("memory:///"))
    stores: Stores = request.getfixturevalue("stores")
    return stores


@pytest.fixture
async def http(both: Stores, settings: Settings, redis: Redis) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001
    async with create_client(create_gateway(both, settings)) as client:
        yield client


@pytest.fixture
async def endpoint(both: Stores) -> WebhookEndpoint:
    endpoint = new_endpoint()
    await both.webhooks.insert(endpoint)
    return endpoint


def path_of(delivery: Delivery, rest: str = "") -> str:
    return f"/webhooks/{delivery.endpoint_id}/deliveries/{delivery.id}{rest}"


async def test_a_delivery_is_shown_with_its_tries_and_its_payload(
    http: httpx.AsyncClient, both: Stores, endpoint: WebhookEndpoint
) -> None:
    tries = [
        Try(at_ms=1000, duration_ms=20, status=500, answer="<h1>Oops"),
        Try(at_ms=6000, duration_ms=15_000, error="timeout", detail="It took too long."),
    ]
    delivery = new_delivery(endpoint, tries=2, log=tries, next_try_ms=306_000, created_ms=900)
    await both.deliveries.insert_new([delivery])

    shown = (await http.get(path_of(delivery))).json()

    assert shown.pop("payload") == json.loads(delivery.payload)
    assert shown.pop("tries") == [
        {
            "at": "1970-01-01T00:00:01Z",
            "duration_ms": 20,
            "status": 500,
            "error": None,
            "detail": "",
            "answer": "<h1>Oops",
        },
        {
            "at": "1970-01-01T00:00:06Z",
            "duration_ms": 15_000,
            "status": None,
            "error": "timeout",
            "detail": "It took too long.",
            "answer": "",
        },
    ]
    assert shown.pop("links") == {"delivery": path_of(delivery), "webhook": f"/webhooks/{endpoint.id}"}
    assert shown == {
        "delivery_id": delivery.id,
        "webhook_id": endpoint.id,
        "event_id": delivery.event_id,
        "type": "job.done",
        "task_id": delivery.task_id,
        "status": "pending",
        "try_count": 2,
        "next_try_at": "1970-01-01T00:05:06Z",
        "created_at": "1970-01-01T00:00:00.900000Z",
        "finished_at": None,
    }


async def test_pages_show_every_delivery_once_newest_first(
    http: httpx.AsyncClient, both: Stores, endpoint: WebhookEndpoint
) -> None:
    deliveries = [new_delivery(endpoint, created_ms=1000 + n // 3) for n in range(10)]
    await both.deliveries.insert_new([*deliveries, new_delivery(new_endpoint())])

    shown: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        parameters = {"limit": "4"} | ({"cursor": cursor} if cursor else {})
        page = (await http.get(f"/webhooks/{endpoint.id}/deliveries", params=parameters)).json()
        shown += [delivery["delivery_id"] for delivery in page["deliveries"]]
        cursor = page["next"]

    newest_first = sorted(deliveries, key=lambda each: (each.created_ms, each.id), reverse=True)
    assert shown == [delivery.id for delivery in newest_first]


async def test_a_page_is_of_one_status(http: httpx.AsyncClient, both: Stores, endpoint: WebhookEndpoint) -> None:
    by_state = {
        DeliveryState.PENDING: new_delivery(endpoint),
        DeliveryState.FAILED: ended_delivery(endpoint),
        DeliveryState.DELIVERED: ended_delivery(endpoint, DeliveryState.DELIVERED),
    }
    await both.deliveries.insert_new(list(by_state.values()))

    for state, delivery in by_state.items():
        page = (await http.get(f"/webhooks/{endpoint.id}/deliveries", params={"status": state})).json()
        assert [(each["delivery_id"], each["status"]) for each in page["deliveries"]] == [(delivery.id, state)]
        assert "payload" not in page["deliveries"][0]


@pytest.mark.parametrize("cursor", ["x", "%00", "MTox" * 90, "OjE", "MTIz", "LTE6eA", "MToke30"])
async def test_a_cursor_that_no_page_gave_is_refused(
    http: httpx.AsyncClient, endpoint: WebhookEndpoint, cursor: str
) -> None:
    answer = await http.get(f"/webhooks/{endpoint.id}/deliveries", params={"cursor": cursor})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_a_cursor_goes_on_where_its_delivery_was(
    http: httpx.AsyncClient, both: Stores, endpoint: WebhookEndpoint
) -> None:
    """Also once that is removed: a page is never repeated, and none is left out."""
    older, gone = new_delivery(endpoint, created_ms=1000), new_delivery(endpoint, created_ms=2000)
    await both.deliveries.insert_new([older])

    cursor = encode_cursor(DeliveryCursor(2000, gone.id))
    page = (await http.get(f"/webhooks/{endpoint.id}/deliveries", params={"cursor": cursor})).json()

    assert [each["delivery_id"] for each in page["deliveries"]] == [older.id]


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.FAILED])
async def test_a_redelivery_begins_anew_with_the_same_event(
    http: httpx.AsyncClient, both: Stores, endpoint: WebhookEndpoint, state: DeliveryState
) -> None:
    delivery = ended_delivery(endpoint, state, log=[Try(at_ms=1, duration_ms=1, status=500)])
    await both.deliveries.insert_new([delivery])

    answer = await http.post(path_of(delivery, "/redeliver"))

    accepted = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, path_of(delivery))
    assert (accepted["status"], accepted["try_count"], accepted["finished_at"]) == ("pending", 0, None)
    assert (accepted["event_id"], len(accepted["tries"])) == (delivery.event_id, 1)
    woken = await both.webhooks.get(endpoint.id, owner=None)
    assert (woken.wakes, woken.due_ms is not None and woken.due_ms <= now_ms()) == (1, True)


async def test_a_pending_delivery_is_tried_at_once_by_a_redelivery(
    http: httpx.AsyncClient, both: Stores, endpoint: WebhookEndpoint
) -> None:
    delivery = new_delivery(endpoint, tries=5, next_try_ms=10**13)
    await both.deliveries.insert_new([delivery])

    assert (await http.post(path_of(delivery, "/redeliver"))).status_code == 202

    due = await both.deliveries.get(delivery.id, owner=None)
    assert due.next_try_ms is not None
    assert due.next_try_ms <= now_ms()


@pytest.mark.parametrize("rest", ["/test", "/deliveries/{}/redeliver"])
async def test_nothing_is_sent_to_a_disabled_webhook(http: httpx.AsyncClient, both: Stores, rest: str) -> None:
    endpoint = new_endpoint(disabled=DisabledReason.GONE)
    await both.webhooks.insert(endpoint)
    delivery = ended_delivery(endpoint)
    await both.deliveries.insert_new([delivery])

    answer = await http.post(f"/webhooks/{endpoint.id}{rest.format(delivery.id)}")

    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_disabled")
    page = await both.deliveries.page(endpoint.id, state=None, before=None, limit=9)
    assert page.deliveries == [delivery]


async def test_a_test_is_a_delivery_to_this_webhook_alone(http: httpx.AsyncClient, both: Stores) -> None:
    endpoint, other = new_endpoint(events=["job.dead"]), new_endpoint()
    for each in (endpoint, other):
        await both.webhooks.insert(each)

    answers = [await http.post(f"/webhooks/{endpoint.id}/test") for _ in range(2)]

    shown: list[dict[str, Any]] = [(await http.get(answer.headers["location"])).json() for answer in answers]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert {(each["type"], each["task_id"], each["status"]) for each in shown} == {("webhook.test", None, "pending")}
    assert len({each["event_id"] for each in shown}) == 2
    assert shown[0]["payload"]["data"]["webhook_id"] == endpoint.id
    assert set(shown[0]["payload"]) == {"type", "timestamp", "data"}
    assert (await both.webhooks.get(endpoint.id, owner=None)).wakes == 2
    assert (await both.deliveries.page(other.id, state=None, before=None, limit=1)).deliveries == []


@pytest.mark.parametrize("rest", ["/test", "/deliveries/{}/redeliver"])
async def test_a_worker_is_told_at_once(
    http: httpx.AsyncClient, both: Stores, endpoint: WebhookEndpoint, redis: Redis, rest: str
) -> None:
    delivery = ended_delivery(endpoint)
    await both.deliveries.insert_new([delivery])

    await http.post(f"/webhooks/{endpoint.id}{rest.format(delivery.id)}")

    assert redis.llen("notify") == 1


async def test_tests_do_not_wait_for_each_other(
    http: httpx.AsyncClient, both: Stores, endpoint: WebhookEndpoint
) -> None:
    for _ in range(2):
        await http.post(f"/webhooks/{endpoint.id}/test")

    page = await both.deliveries.page(endpoint.id, state=None, before=None, limit=9)

    assert len({delivery.task_id for delivery in page.deliveries}) == 2


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("POST", "/redeliver")])
async def test_a_delivery_is_found_at_its_own_webhook_only(
    http: httpx.AsyncClient, both: Stores, endpoint: WebhookEndpoint, method: str, rest: str
) -> None:
    other = new_endpoint()
    delivery = ended_delivery(other)
    await both.webhooks.insert(other)
    await both.deliveries.insert_new([delivery])

    answer = await http.request(method, f"/webhooks/{endpoint.id}/deliveries/{delivery.id}{rest}")

    assert (answer.status_code, answer.json()["code"]) == (404, "delivery_not_found")
    assert await both.deliveries.get(delivery.id, owner=None) == delivery


def test_the_id_of_a_delivery_is_one_segment_of_a_path_as_it_is() -> None:
    delivery = new_delivery(new_endpoint())

    assert httpx.URL(f"http://gateway{path_of(delivery)}").raw_path.decode() == path_of(delivery)

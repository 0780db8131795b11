"""Runs of the task notify: documents on Mongo's wire, requests to a server on this machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.typing import EventDict

from pipeline.outbound.client import OutboundClient
from pipeline.outbound_settings import FixedWebhook, OutboundSettings, WebhookSettings
from pipeline.settings import Settings
from pipeline.webhooks.metrics import WebhookMetrics
from pipeline.webhooks.sending import MAX_RUN_SECONDS, UNSIGNED_WAIT_MS, EndpointRun
from storage.clock import now_ms
from storage.delivery_ledger import DeliveryLedger
from storage.stores import Stores
from storage.webhooks import Delivery, DeliveryState, DisabledReason, Secret, WebhookEndpoint
from tests.support.webhook_receiver import Received, Receiver, Reply, run_receiver
from tests.support.webhooks import SECRET, ended_delivery, new_delivery, new_endpoint

OTHER = "whsec_" + "B" * 32
AT_ONCE = (0.0001,) * 9
"""Waits of less than a millisecond."""
LONG = 600.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


class World:
    """Endpoints of one receiver, and runs that send to them."""

    def __init__(self, stores: Stores, ledger: DeliveryLedger, receiver: Receiver) -> None:
        self.stores, self.ledger, self.receiver = stores, ledger, receiver
        self.registry = CollectorRegistry()
        self.metrics = WebhookMetrics(self.registry, namespace="darkroom")
        self.metrics.create_series()
        self.client = OutboundClient(OutboundSettings(allow=("127.0.0.0/8:*",)))

    async def add_endpoint(self, path: str = "/hook", **fields: Any) -> WebhookEndpoint:
        endpoint = new_endpoint(**{"url": self.receiver.url(path), "due_ms": 1} | fields)
        await self.stores.webhooks.insert(endpoint)
        return endpoint

    async def add(self, *deliveries: Delivery) -> None:
        await self.stores.deliveries.insert_new(deliveries)
        await self.stores.webhooks.wake({each.endpoint_id for each in deliveries}, now=now_ms())

    async def run(self, endpoint: WebhookEndpoint, *, clock: Callable[[], float] = monotonic, **webhooks: Any) -> None:
        """Run once, as a message about the endpoint makes a worker do."""
        settings = Settings(webhooks=WebhookSettings(**webhooks))
        run = EndpointRun(self.ledger, self.client, settings, self.metrics, clock=clock)
        await asyncio.to_thread(run.send, endpoint.id)

    async def read(self, delivery: Delivery) -> Delivery:
        return await self.stores.deliveries.get(delivery.id, owner=None)

    async def read_endpoint(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        return await self.stores.webhooks.get(endpoint.id, owner=None)

    def count(self, sample: str) -> float:
        lines = generate_latest(self.registry).decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"darkroom_{sample}"))


@pytest.fixture
def world(stores: Stores, delivery_ledger: DeliveryLedger, receiver: Receiver) -> World:
    return World(stores, delivery_ledger, receiver)


def fail_first(receiver: Receiver, times: int, reply: Reply) -> None:
    """Answer the first tries like this."""
    receiver.reply = lambda _: reply if len(receiver.received) <= times else Reply()


async def test_a_due_delivery_is_sent_and_recorded(world: World, logs: list[EventDict]) -> None:
    endpoint = await world.add_endpoint(url=world.receiver.url("/hook?token=hidden"))
    world.receiver.reply = lambda _: Reply(202, content=b"thanks")
    await world.add(delivery := new_delivery(endpoint))

    await world.run(endpoint)

    (request,) = world.receiver.received
    assert request.verify()["data"] == {"task_id": delivery.task_id}
    assert request.headers["webhook-id"] == delivery.event_id
    found = await world.read(delivery)
    assert (found.state, found.tries, found.next_try_ms) == (DeliveryState.DELIVERED, 1, None)
    assert (found.log[0].status, found.log[0].answer) == (202, "thanks")
    ended = await world.read_endpoint(endpoint)
    assert (ended.due_ms, ended.lease_ms, ended.failing_since_ms) == (None, 0, None)
    (line,) = [line for line in logs if line["event"] == "delivery.delivered"]
    assert (line["webhook_id"], line["task_id"]) == (endpoint.id, delivery.task_id)
    assert "hidden" not in str(logs)
    assert world.count('webhook_tries_total{outcome="delivered"}') == 1
    assert world.count('webhook_deliveries_total{outcome="delivered"}') == 1
    assert world.count("webhook_try_duration_seconds_count") == 1


async def test_a_delivery_that_fails_waits_for_its_next_try(world: World) -> None:
    endpoint, before = await world.add_endpoint(), now_ms()
    world.receiver.reply = lambda _: Reply(500, content=b"down")
    await world.add(delivery := new_delivery(endpoint))

    await world.run(endpoint, retry_waits=(LONG,))

    found = await world.read(delivery)
    assert (found.state, found.tries, found.log[0].status) == (DeliveryState.PENDING, 1, 500)
    assert before + LONG * 1000 <= (found.next_try_ms or 0) <= now_ms() + LONG * 1100
    ended = await world.read_endpoint(endpoint)
    assert (ended.due_ms, ended.failing_since_ms) == (found.next_try_ms, found.log[0].at_ms)
    assert world.count('webhook_tries_total{outcome="rejected"}') == 1
    assert world.count('webhook_deliveries_total{outcome="given_up"}') == 0


async def test_every_try_has_the_same_id_and_payload_and_a_signature_of_its_own(world: World) -> None:
    endpoint = await world.add_endpoint()
    fail_first(world.receiver, 3, Reply(500))
    await world.add(delivery := new_delivery(endpoint))

    await world.run(endpoint, retry_waits=AT_ONCE)

    assert world.receiver.ids() == [delivery.event_id] * 4
    assert {request.content for request in world.receiver.received} == {delivery.payload.encode()}
    assert [request.verify() is not None for request in world.receiver.received] == [True] * 4
    found = await world.read(delivery)
    assert [each.status for each in found.log] == [500, 500, 500, 204]
    assert (await world.read_endpoint(endpoint)).failing_since_ms is None


async def test_after_the_last_try_the_next_event_of_the_job_goes(world: World) -> None:
    endpoint = await world.add_endpoint()
    fail_first(world.receiver, 3, Reply(500))
    first = new_delivery(endpoint, order="1")
    await world.add(first, second := new_delivery(endpoint, task_id=first.task_id, order="2"))

    await world.run(endpoint, retry_waits=AT_ONCE[:2])

    assert world.receiver.ids() == [*[first.event_id] * 3, second.event_id]
    assert [(await world.read(each)).state for each in (first, second)] == [
        DeliveryState.FAILED, DeliveryState.DELIVERED,
    ]  # fmt: skip
    assert world.count('webhook_deliveries_total{outcome="given_up"}') == 1


async def test_an_event_waits_while_an_earlier_one_of_its_job_is_pending(world: World) -> None:
    endpoint = await world.add_endpoint()
    first = new_delivery(endpoint, order="1")
    second = new_delivery(endpoint, task_id=first.task_id, order="2")
    other = new_delivery(endpoint)
    world.receiver.reply = lambda request: Reply(500 if request.event_id == first.event_id else 204)
    await world.add(second, first, other)

    await world.run(endpoint, retry_waits=(LONG,))

    assert sorted(world.receiver.ids()) == sorted([first.event_id, other.event_id])
    due_ms = (await world.read(first)).next_try_ms
    assert (await world.read_endpoint(endpoint)).due_ms == due_ms
    assert (await world.read(second)).next_try_ms == due_ms


async def test_a_redirect_is_a_failure_and_is_not_followed(world: World) -> None:
    endpoint = await world.add_endpoint()
    world.receiver.reply = lambda _: Reply(307, {"Location": world.receiver.url("/elsewhere")})
    await world.add(delivery := new_delivery(endpoint))

    await world.run(endpoint, retry_waits=(LONG,))

    assert [request.path for request in world.receiver.received] == ["/hook"]
    assert (await world.read(delivery)).log[0].status == 307


async def test_an_endpoint_that_is_gone_is_disabled_and_its_deliveries_wait(
    world: World, logs: list[EventDict]
) -> None:
    endpoint = await world.add_endpoint(owner="ada")
    world.receiver.reply = lambda _: Reply(410)
    deliveries = [new_delivery(endpoint, next_try_ms=each) for each in range(1, 4)]
    await world.add(*deliveries)

    await world.run(endpoint, max_in_flight=1)

    found = await world.read_endpoint(endpoint)
    assert (found.disabled, found.lease_ms) == (DisabledReason.GONE, 0)
    assert world.receiver.ids() == [deliveries[0].event_id]
    assert {(await world.read(each)).state for each in deliveries} == {DeliveryState.PENDING}
    (line,) = [line for line in logs if line["event"] == "webhook.disabled"]
    assert (line["webhook_id"], line["owner"], line["reason"]) == (endpoint.id, "ada", "gone")
    assert world.count('webhook_endpoints_disabled_total{reason="gone"}') == 1


@pytest.mark.parametrize(("failing_ms", "is_disabled"), [(999_000, False), (1_001_000, True), (None, False)])
async def test_an_endpoint_that_has_taken_nothing_for_long_is_disabled_when_it_fails_again(
    world: World, failing_ms: int | None, is_disabled: bool
) -> None:
    since_ms = now_ms() - failing_ms if failing_ms else None
    endpoint = await world.add_endpoint(failing_since_ms=since_ms)
    world.receiver.reply = lambda _: Reply(503)
    await world.add(new_delivery(endpoint))

    await world.run(endpoint, retry_waits=(LONG,), disable_after=1000)

    found = await world.read_endpoint(endpoint)
    assert found.disabled == (DisabledReason.FAILING if is_disabled else None)
    assert world.count('webhook_endpoints_disabled_total{reason="failing"}') == is_disabled


async def test_an_endpoint_that_takes_an_event_again_is_not_failing(world: World) -> None:
    endpoint = await world.add_endpoint(failing_since_ms=1)
    await world.add(new_delivery(endpoint))

    await world.run(endpoint, disable_after=1)

    found = await world.read_endpoint(endpoint)
    assert (found.failing_since_ms, found.disabled) == (None, None)


@pytest.mark.parametrize("value", ["3600", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_an_endpoint_that_asks_for_time_gets_it(world: World, value: str) -> None:
    endpoint, before = await world.add_endpoint(), now_ms()
    world.receiver.reply = lambda _: Reply(429, {"Retry-After": value})
    await world.add(delivery := new_delivery(endpoint))

    await world.run(endpoint, retry_waits=(5,))

    waited_ms = ((await world.read(delivery)).next_try_ms or 0) - before
    assert 3_600_000 <= waited_ms <= 86_400_000 + now_ms() - before


async def test_an_address_inside_is_refused(world: World) -> None:
    endpoint = await world.add_endpoint()
    world.client = OutboundClient(OutboundSettings())
    await world.add(delivery := new_delivery(endpoint))

    await world.run(endpoint, retry_waits=(LONG,))

    (result,) = (await world.read(delivery)).log
    assert (result.error, result.status, world.receiver.received) == ("refused", None, [])
    assert result.detail.endswith(".")
    assert world.count('webhook_tries_total{outcome="refused"}') == 1


async def test_a_hanging_endpoint_ends_its_tries_in_time(world: World) -> None:
    endpoint = await world.add_endpoint()
    world.receiver.reply = world.receiver.hang
    await world.add(*(deliveries := [new_delivery(endpoint) for _ in range(3)]))

    await world.run(endpoint, retry_waits=(LONG,), timeout=0.3)

    assert [(await world.read(each)).log[0].error for each in deliveries] == ["timeout"] * 3


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_deliveries_than_allowed_are_under_way(world: World, limit: int) -> None:
    endpoint = await world.add_endpoint()
    meeting = threading.Barrier(limit)

    def meet(_: Received) -> Reply:
        meeting.wait(timeout=30)
        return Reply()

    world.receiver.reply = meet
    await world.add(*(deliveries := [new_delivery(endpoint) for _ in range(4 * limit)]))

    await world.run(endpoint, max_in_flight=limit)

    assert world.receiver.most_at_once["/hook"] == limit
    assert sorted(world.receiver.ids()) == sorted(each.event_id for each in deliveries)


async def test_one_slow_answer_does_not_hold_up_the_others(world: World) -> None:
    endpoint = await world.add_endpoint()
    await world.add(*(deliveries := [new_delivery(endpoint, next_try_ms=each) for each in range(1, 80)]))
    others_are_there = threading.Event()

    def answer(request: Received) -> Reply:
        if len(set(world.receiver.ids())) == len(deliveries):
            others_are_there.set()
        if request.event_id == deliveries[0].event_id:
            others_are_there.wait(timeout=10)
        return Reply()

    world.receiver.reply = answer
    await world.run(endpoint, max_in_flight=2)

    assert others_are_there.is_set()
    assert sorted(world.receiver.ids()) == sorted(each.event_id for each in deliveries)


async def test_of_many_runs_one_sends(world: World) -> None:
    endpoint = await world.add_endpoint()
    await world.add(*(deliveries := [new_delivery(endpoint) for _ in range(10)]))

    await asyncio.gather(*(world.run(endpoint) for _ in range(5)))

    assert sorted(world.receiver.ids()) == sorted(each.event_id for each in deliveries)


async def test_what_is_added_during_a_run_is_sent_by_it(world: World) -> None:
    endpoint, loop = await world.add_endpoint(), asyncio.get_running_loop()
    first, second = new_delivery(endpoint), new_delivery(endpoint)

    def answer(request: Received) -> Reply:
        if request.event_id == first.event_id:
            asyncio.run_coroutine_threadsafe(world.add(second), loop).result()
        return Reply()

    world.receiver.reply = answer
    await world.add(first)
    await world.run(endpoint)

    assert world.receiver.ids() == [first.event_id, second.event_id]
    assert (await world.read_endpoint(endpoint)).due_ms is None


async def test_a_run_that_has_no_time_left_leaves_the_endpoint_due(world: World) -> None:
    endpoint = await world.add_endpoint()
    deliveries = [new_delivery(endpoint, next_try_ms=each) for each in range(1, 6)]
    await world.add(*deliveries)

    await world.run(endpoint, clock=lambda: MAX_RUN_SECONDS * (len(world.receiver.received) // 3), max_in_flight=1)

    assert world.receiver.ids() == [each.event_id for each in deliveries[:3]]
    found = await world.read_endpoint(endpoint)
    assert (found.due_ms, found.lease_ms, found.next_dispatch_ms) == (deliveries[3].next_try_ms, 0, 0)


@pytest.mark.parametrize("disabled", [DisabledReason.OWNER, DisabledReason.GONE])
async def test_nothing_is_sent_to_a_disabled_endpoint(world: World, disabled: DisabledReason) -> None:
    endpoint = await world.add_endpoint(disabled=disabled)
    await world.add(new_delivery(endpoint))

    await world.run(endpoint)
    await world.run(new_endpoint())

    assert world.receiver.received == []


async def test_events_are_signed_with_each_secret_that_is_valid(world: World) -> None:
    secrets = [
        Secret(value=SECRET),
        Secret(value=OTHER, expires_ms=now_ms() + 60_000),
        Secret(value="whsec_" + "C" * 32, expires_ms=1),
    ]
    endpoint = await world.add_endpoint(secrets=secrets)
    await world.add(new_delivery(endpoint))

    await world.run(endpoint)

    (request,) = world.receiver.received
    assert request.verify(SECRET) == request.verify(OTHER)
    assert len(request.headers["webhook-signature"].split()) == 2


async def test_an_endpoint_of_the_settings_uses_their_secrets(world: World) -> None:
    endpoint = await world.add_endpoint(id="fixed-shop", secrets=[])
    await world.add(new_delivery(endpoint))

    await world.run(endpoint, fixed={"shop": FixedWebhook(url=endpoint.url, secrets=(OTHER,))})

    assert world.receiver.received[0].verify(OTHER)


async def test_nothing_is_sent_without_a_signature(world: World, logs: list[EventDict]) -> None:
    endpoint, before = await world.add_endpoint(id="fixed-shop", secrets=[]), now_ms()
    await world.add(delivery := new_delivery(endpoint))

    await world.run(endpoint)

    assert world.receiver.received == []
    assert await world.read(delivery) == delivery
    found = await world.read_endpoint(endpoint)
    assert found.lease_ms == 0
    assert (found.due_ms or 0) >= before + UNSIGNED_WAIT_MS
    assert [line["event"] for line in logs] == ["webhook.unsigned"]


@pytest.mark.parametrize("is_redelivered", [True, False])
async def test_a_delivery_that_its_owner_wants_again_during_a_try_is_sent_again(
    world: World, is_redelivered: bool
) -> None:
    endpoint, loop = await world.add_endpoint(), asyncio.get_running_loop()
    await world.add(delivery := new_delivery(endpoint, tries=1))

    async def redeliver() -> None:
        assert await world.stores.deliveries.redeliver(await world.read(delivery))

    def answer(_: Received) -> Reply:
        if is_redelivered and len(world.receiver.received) == 1:
            asyncio.run_coroutine_threadsafe(redeliver(), loop).result()
        return Reply()

    world.receiver.reply = answer
    await world.run(endpoint)

    assert len(world.receiver.received) == 1 + is_redelivered
    assert (await world.read(delivery)).state is DeliveryState.DELIVERED


async def test_a_delivery_that_has_ended_can_be_sent_again(world: World) -> None:
    endpoint = await world.add_endpoint()
    await world.add(delivery := ended_delivery(endpoint))

    await world.run(endpoint)
    assert world.receiver.received == []
    await world.stores.deliveries.redeliver(delivery)
    await world.run(endpoint)

    assert world.receiver.ids() == [delivery.event_id]


async def test_an_address_that_its_owner_changes_is_used_from_the_next_run(world: World) -> None:
    endpoint = await world.add_endpoint()
    world.receiver.reply = lambda request: Reply(500 if request.path == "/hook" else 204)
    await world.add(delivery := new_delivery(endpoint))
    await world.run(endpoint, retry_waits=(*AT_ONCE[:1], LONG))

    await world.stores.webhooks.change(endpoint.id, {"url": world.receiver.url("/new")}, owner=None)
    await world.stores.deliveries.redeliver(await world.read(delivery))
    await world.run(endpoint)

    assert [request.path for request in world.receiver.received] == ["/hook", "/hook", "/new"]

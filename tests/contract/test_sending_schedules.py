"""Runs of the task notify under random schedules: workers that die, a database that fails, receivers that fail.

Nothing is lost, the events of a job arrive in order, and no two runs send to one endpoint.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect

from pipeline.outbound.client import Answer
from pipeline.outbound.errors import OutboundTimeout
from pipeline.outbound_settings import WebhookSettings
from pipeline.settings import Settings
from pipeline.webhooks.metrics import WebhookMetrics
from pipeline.webhooks.sending import MAX_RUN_SECONDS, EndpointRun
from storage.clock import now_ms
from storage.delivery_ledger import DeliveryLedger
from storage.documents import Job
from storage.job_ids import new_job_id
from storage.stores import Stores
from storage.webhooks import ENDPOINTS, Delivery, DeliveryState, WebhookEndpoint
from tests.support.properties import EXAMPLES
from tests.support.webhooks import new_delivery, new_endpoint

MAX_IN_FLIGHT = 2
SETTINGS = Settings(webhooks=WebhookSettings(max_in_flight=MAX_IN_FLIGHT, retry_waits=(0.0001,) * 200))
WAIT_SECONDS = 30


class Killed(BaseException):
    """The worker's process is killed."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong at a call of the database: before it has acted, or after; an error, or the end of the worker."""

    call: int
    is_late: bool
    kills: bool


@dataclass(frozen=True)
class Turn:
    """Runs at the same time, for the endpoints with these numbers, all with the same faults.

    The time of each is over after some requests.
    """

    endpoints: Sequence[int]
    faults: Sequence[Fault]
    max_requests: int = 3


faults = st.builds(Fault, call=st.integers(0, 14), is_late=st.booleans(), kills=st.booleans())
turns = st.builds(
    Turn,
    endpoints=st.lists(st.integers(0, 1), min_size=1, max_size=3),
    faults=st.lists(faults, min_size=1, max_size=2),
    max_requests=st.integers(1, 6),
)
schedules = st.lists(turns, max_size=4)
jobs = st.lists(st.integers(1, 3), min_size=1, max_size=4)
"""How many events each job has."""
failures = st.lists(st.integers(0, 30), max_size=12)
"""The requests that fail, by their numbers."""


class FaultyLedger:
    """A ledger whose calls fail as the turn says."""

    def __init__(self, ledger: DeliveryLedger, faults: Sequence[Fault]) -> None:
        self._ledger, self._faults, self._calls = ledger, {fault.call: fault for fault in faults}, count()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found = getattr(self._ledger, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            fault = self._faults.get(next(self._calls))
            if fault and not fault.is_late:
                raise _error_of(fault)
            answer = found(*args, **kwargs)
            if fault:
                raise _error_of(fault)
            return answer

        return call


def _error_of(fault: Fault) -> BaseException:
    return Killed() if fault.kills else AutoReconnect("the primary is gone")


class Network:
    """Receivers that fail at some requests: with an error, with no answer, or after they have taken the event."""

    def __init__(self, failing: Sequence[int]) -> None:
        self.taken: set[tuple[str, str]] = set()
        """The addresses and ids of the events that were answered with success."""
        self.problems: list[str] = []
        self._failing, self._numbers = set(failing), count()
        self.requests: Counter[int] = Counter()
        """Requests of each run."""
        self._senders: dict[str, Counter[int]] = defaultdict(Counter)
        self._changed = threading.Condition()

    def post(self, sender: int, url: str, event_id: str) -> Answer:
        with self._changed:
            number = next(self._numbers)
            self.requests[sender] += 1
            if any((url, earlier) not in self.taken for earlier in earlier_events(event_id)):
                self.problems.append("an event arrives before an earlier one of its job is taken")
            self._senders[url][sender] += 1
            self._changed.notify_all()
            if len(+self._senders[url]) > 1:
                self.problems.append("two runs send to one endpoint")
            if self._senders[url].total() > MAX_IN_FLIGHT:
                self.problems.append("too many requests at a time")
            self._changed.wait_for(lambda: self._senders[url].total() > 1, timeout=0.002)  # some meet, if they can
            self._senders[url][sender] -= 1
            self._changed.notify_all()
            if number in self._failing and number % 2:
                raise OutboundTimeout("The other side took too long.")
            if number in self._failing:
                return Answer(500, {}, b"")
            self.taken.add((url, event_id))
        return Answer(204, {}, b"")

    def wait_until_idle(self) -> None:
        """Wait for the requests of runs that were killed: the lease outlives them."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: not any(each.total() for each in self._senders.values()), timeout=WAIT_SECONDS
            )


def earlier_events(event_id: str) -> list[str]:
    """Return the ids of the earlier events of the same job."""
    job, _, order = event_id.rpartition("-")
    return [f"{job}-{earlier}" for earlier in range(int(order))]


@dataclass(frozen=True)
class Sender:
    """The way out of one run."""

    network: Network
    number: int

    def post(self, url: str, content: bytes, headers: Mapping[str, str], **_: Any) -> Answer:  # noqa: ARG002
        return self.network.post(self.number, url, headers["webhook-id"])


class World:
    """Two endpoints, the events of some jobs for both, and the runs that send them."""

    def __init__(self, stores: Stores, ledger: DeliveryLedger, failing: Sequence[int]) -> None:
        self.stores, self.ledger, self.network = stores, ledger, Network(failing)
        self.endpoints = [new_endpoint(url=f"https://{number}.example", due_ms=1) for number in range(2)]
        self.deliveries: list[Delivery] = []
        self._metrics = WebhookMetrics(CollectorRegistry(), namespace="darkroom")
        self._numbers = count()

    async def fill(self, jobs: Sequence[int]) -> None:
        for endpoint in self.endpoints:
            await self.stores.webhooks.insert(endpoint)
        for events in jobs:
            task_id = new_job_id()
            self.deliveries += [
                new_delivery(endpoint, task_id=task_id, order=str(order))
                for endpoint in self.endpoints
                for order in range(events)
            ]
        await self.stores.deliveries.insert_new(self.deliveries)
        await self.stores.webhooks.wake([each.id for each in self.endpoints], now=now_ms())

    async def run_turn(self, turn: Turn) -> None:
        """Run workers at the same time; the leases of those that die end afterwards."""
        endpoints = [self.endpoints[number] for number in turn.endpoints]
        await asyncio.gather(*(asyncio.to_thread(self._run, endpoint, turn) for endpoint in endpoints))
        await asyncio.to_thread(self.network.wait_until_idle)
        ids = [endpoint.id for endpoint in self.endpoints]
        documents = Job.get_motor_collection().database[ENDPOINTS]
        await documents.update_many({"_id": {"$in": ids}}, {"$set": {"lease_ms": 0, "next_dispatch_ms": 0}})

    async def run_to_end(self) -> None:
        """Do what the gateway does: have those sent to that are due, until none is."""
        for _ in range(100):
            due = {endpoint.id for endpoint in await self.stores.webhooks.find_due(limit=1000)}
            numbers = [number for number, endpoint in enumerate(self.endpoints) if endpoint.id in due]
            if not numbers:
                return
            await self.run_turn(Turn(numbers, ()))
        raise AssertionError("it does not end")

    def _run(self, endpoint: WebhookEndpoint, turn: Turn) -> None:
        ledger: Any = FaultyLedger(self.ledger, turn.faults)
        sender = Sender(self.network, next(self._numbers))

        def read_clock() -> float:
            return MAX_RUN_SECONDS * (self.network.requests[sender.number] // turn.max_requests)

        run = EndpointRun(ledger, sender, SETTINGS, self._metrics, clock=read_clock)
        try:
            run.send(endpoint.id)
        except (Killed, AutoReconnect):
            return

    async def check(self) -> None:
        assert self.network.problems == []
        for delivery in self.deliveries:
            found = await self.stores.deliveries.get(delivery.id, owner=None)
            assert found.state is DeliveryState.DELIVERED
        urls = {endpoint.id: endpoint.url for endpoint in self.endpoints}
        assert self.network.taken == {(urls[each.endpoint_id], each.event_id) for each in self.deliveries}


@settings(EXAMPLES, max_examples=30)
@given(jobs=jobs, failing=failures, schedule=schedules)
async def test_every_event_arrives_in_the_order_of_its_job(
    opened_stores: Stores, delivery_ledger: DeliveryLedger, jobs: list[int], failing: list[int], schedule: list[Turn]
) -> None:
    world = World(opened_stores, delivery_ledger, failing)
    await world.fill(jobs)

    for turn in schedule:
        await world.run_turn(turn)
    await world.run_to_end()

    await world.check()


@pytest.mark.parametrize("call", range(10))
@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("kills", [False, True])
async def test_a_run_that_ends_at_any_step_loses_nothing(
    opened_stores: Stores, delivery_ledger: DeliveryLedger, call: int, *, is_late: bool, kills: bool
) -> None:
    world = World(opened_stores, delivery_ledger, failing=[0])
    await world.fill([2, 1])

    await world.run_turn(Turn([0, 1], [Fault(call, is_late=is_late, kills=kills)]))
    await world.run_to_end()

    await world.check()

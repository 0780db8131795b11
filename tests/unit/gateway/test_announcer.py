"""The announcer over fakes: what becomes of events, who does it, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect
from structlog.typing import EventDict

from gateway.lifespan import run_in_background
from gateway.webhooks.announcer import BATCH, MAX_DELIVERIES, Announcer
from gateway.webhooks.dispatch import PUBLISH_MS, RESERVED_MS
from pipeline.routing import NOTIFY
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.delivery_store import Deliveries
from storage.documents import Job, JobState, Kind
from storage.errors import TRANSIENT_ERRORS
from storage.events import EventType
from storage.jobs import UNREADABLE_DELAY_MS
from storage.outbox import Outbox
from storage.webhook_store import Endpoints
from storage.webhooks import Delivery, DisabledReason
from tests.support.announcing import new_announcer, new_ended_job
from tests.support.fakes import FakeBroker, FakeJobs, FakeLease, FakeQueues, FakeStores, new_job
from tests.support.webhook_fakes import FakeDeliveries, FakeWebhooks
from tests.support.webhooks import new_endpoint

pytestmark = pytest.mark.usefixtures("broker")

HOUR = 3_600_000
FOREVER = 3600.0


class WatchedJobs(FakeJobs):
    """Jobs that count what they are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.looks, self.read, self.clears = 0, list[str](), list[int]()
        self.cleared = asyncio.Queue[int]()

    async def find_with_events(self, *, limit: int) -> list[Outbox]:
        self.looks += 1
        return await super().find_with_events(limit=limit)

    async def get_many(self, job_ids: Collection[str]) -> list[Job]:
        self.read += sorted(job_ids)
        return await super().get_many(job_ids)

    async def clear_outboxes(self, versions: Mapping[str, int]) -> int:
        self.clears.append(len(versions))
        count = await super().clear_outboxes(versions)
        self.cleared.put_nowait(count)
        return count


class WatchedWebhooks(FakeWebhooks):
    """Endpoints that count the reads of each owner, and that may be out of reach, or broken."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.error = list[str | None](), None

    error: Exception | None

    async def list_enabled(self, owner: str | None) -> Endpoints:
        self.read.append(owner)
        if self.error:
            raise self.error
        return await super().list_enabled(owner)


class RefusingDeliveries(FakeDeliveries):
    """Deliveries that refuse some: those of an owner, or of a job."""

    def __init__(self, webhooks: FakeWebhooks, refused: str, error: Exception) -> None:
        super().__init__(webhooks)
        self._refused, self._error = refused, error

    async def insert_new(self, deliveries: Sequence[Delivery]) -> None:
        if any(self._refused in {delivery.owner, delivery.task_id} for delivery in deliveries):
            raise self._error
        await super().insert_new(deliveries)


@pytest.fixture
def jobs() -> WatchedJobs:
    return WatchedJobs()


@pytest.fixture
def webhooks() -> WatchedWebhooks:
    return WatchedWebhooks()


@pytest.fixture
def stores(jobs: WatchedJobs, blobs: Blobs, webhooks: WatchedWebhooks) -> FakeStores:
    return FakeStores(jobs, blobs, webhooks=webhooks)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def announcer(stores: FakeStores, registry: CollectorRegistry) -> Announcer:
    return new_announcer(stores, registry=registry)


async def insert_ended(jobs: FakeJobs, state: JobState = JobState.DONE, **fields: Any) -> Job:
    job = new_ended_job(state, **fields)
    await jobs.insert(job)
    return job


async def outbox_of(jobs: FakeJobs, job: Job) -> list[str]:
    return sorted((await jobs.get(job.id)).outbox)


def deliveries_of(webhooks: FakeWebhooks) -> list[str]:
    return sorted(webhooks.kept_deliveries)


async def wait_for_clear(jobs: WatchedJobs) -> None:
    """Wait until outboxes are emptied once more."""
    async with asyncio.timeout(10):
        await jobs.cleared.get()


async def test_an_event_becomes_a_delivery_and_its_endpoint_is_due(
    announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks
) -> None:
    await webhooks.insert(endpoint := new_endpoint(owner="ada"))
    job = await insert_ended(jobs, owner="ada")

    assert not await announcer.announce_batch()

    assert deliveries_of(webhooks) == [f"{job.id}-0-1-done.{endpoint.id}"]
    assert await outbox_of(jobs, job) == []
    woken = await webhooks.get(endpoint.id, owner="ada")
    assert (woken.wakes, 0 < (woken.due_ms or 0) <= now_ms()) == (1, True)


async def test_who_wants_none_of_the_events_is_not_woken(
    announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks
) -> None:
    await webhooks.insert(endpoint := new_endpoint(events=["job.failed"]))
    job = await insert_ended(jobs)

    await announcer.announce_batch()

    assert (deliveries_of(webhooks), await outbox_of(jobs, job)) == ([], [])
    assert webhooks.endpoints[endpoint.id].wakes == 0


async def test_a_disabled_endpoint_gets_nothing(
    announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks
) -> None:
    await webhooks.insert(new_endpoint(disabled=DisabledReason.GONE))
    job = await insert_ended(jobs)

    await announcer.announce_batch()

    assert (deliveries_of(webhooks), await outbox_of(jobs, job)) == ([], [])


async def test_events_of_others_are_of_no_concern(
    announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks
) -> None:
    await webhooks.insert(new_endpoint(owner="zoe"))
    await webhooks.insert(new_endpoint(owner=None))
    await insert_ended(jobs, owner="ada")

    await announcer.announce_batch()

    assert deliveries_of(webhooks) == []


async def test_jobs_of_owners_without_webhooks_are_not_read_and_cleared_in_one_request(
    announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks
) -> None:
    ended = [await insert_ended(jobs, owner=owner) for owner in ("ada", "zoe", "zoe", None, None)]

    await announcer.announce_batch()

    assert (jobs.read, jobs.clears) == ([], [5])
    assert sorted(webhooks.read, key=str) == [None, "ada", "zoe"]
    assert [await outbox_of(jobs, job) for job in ended] == [[]] * 5


async def test_endpoints_are_read_once_for_an_owner_and_batch(
    announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks
) -> None:
    for owner in ("ada", "zoe"):
        await webhooks.insert(new_endpoint(owner=owner))
    for number in range(BATCH + 1):
        await insert_ended(jobs, owner="ada" if number % 2 else "zoe", ms=number + 1)

    assert await announcer.announce_batch()
    assert sorted(webhooks.read, key=str) == ["ada", "zoe"]
    assert not await announcer.announce_batch()

    assert len(webhooks.kept_deliveries) == BATCH + 1
    assert max(jobs.clears) <= MAX_DELIVERIES
    assert await jobs.find_with_events(limit=1) == []


async def test_a_rendition_is_handed_over_while_its_job_goes_on(
    announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks
) -> None:
    await webhooks.insert(new_endpoint(id="all", events=[*EventType]))
    outbox = {"0-0-small": {"type": "rendition.done", "ms": 5, "rendition": "small"}}
    await jobs.insert(job := new_job(state=JobState.PROCESSING, outbox=outbox, outbox_ms=5))

    await announcer.announce_batch()

    assert (deliveries_of(webhooks), await outbox_of(jobs, job)) == ([f"{job.id}-0-0-small.all"], [])


async def test_a_webhook_that_is_created_meanwhile_gets_the_event_that_comes_then(
    stores: FakeStores, webhooks: WatchedWebhooks
) -> None:
    class ChangingMeanwhile(FakeJobs):
        async def get_many(self, job_ids: Collection[str]) -> list[Job]:
            if "new" not in webhooks.endpoints:
                await webhooks.insert(new_endpoint(id="new", events=["job.cancelled"]))
                await self.cancel(job)
            return await super().get_many(job_ids)

    await webhooks.insert(new_endpoint(id="old", events=[*EventType]))
    outbox = {"0-0-small": {"type": "rendition.done", "ms": 5, "rendition": "small"}}
    jobs, job = ChangingMeanwhile(), new_job(state=JobState.PROCESSING, outbox=outbox, outbox_ms=5)
    await jobs.insert(job)
    announcer = new_announcer(replace(stores, jobs=jobs))

    for _ in range(2):
        await announcer.announce_batch()

    ids = [f"{job.id}-0-0-small.old", f"{job.id}-0-1-cancelled.new", f"{job.id}-0-1-cancelled.old"]
    assert deliveries_of(webhooks) == ids
    assert await outbox_of(jobs, job) == []


async def test_an_event_that_comes_meanwhile_stays_for_the_next_time(
    stores: FakeStores, jobs: WatchedJobs, webhooks: WatchedWebhooks
) -> None:
    class ExpiringMeanwhile(FakeDeliveries):
        async def insert_new(self, deliveries: Any) -> None:
            await super().insert_new(deliveries)
            await jobs.mark_expiring(await jobs.get(job.id))
            await jobs.mark_blobs_removed(job)

    await webhooks.insert(new_endpoint(id="all", events=[*EventType]))
    job = await insert_ended(jobs)
    deliveries = ExpiringMeanwhile(webhooks)

    await new_announcer(FakeStores(jobs, stores.blobs, webhooks=webhooks, deliveries=deliveries)).announce_batch()
    assert await outbox_of(jobs, job) == ["0-1-done", "0-2-expired"]
    await new_announcer(stores).announce_batch()

    assert deliveries_of(webhooks) == [f"{job.id}-0-1-done.all", f"{job.id}-0-2-expired.all"]


class TestAJobThatCannotBeHandedOver:
    @pytest.fixture
    async def broken(self, jobs: WatchedJobs, webhooks: WatchedWebhooks) -> Job:
        await webhooks.insert(new_endpoint(id="here"))
        return await insert_ended(jobs, ms=1, stages={})  # its status divides by the number of its stages

    @pytest.fixture
    def jobs(self) -> WatchedJobs:
        class Jobs(WatchedJobs):
            async def get_many(self, job_ids: Collection[str]) -> list[Job]:
                found = await super().get_many(job_ids)
                return [job.model_copy(update={"stages": {}} if (job.outbox_ms or 0) == 1 else {}) for job in found]

        return Jobs()

    async def test_waits_and_lets_others_go_first(
        self, announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks, broken: Job, logs: list[EventDict]
    ) -> None:
        job = await insert_ended(jobs, ms=2)

        await announcer.announce_batch()
        await announcer.announce_batch()

        assert deliveries_of(webhooks) == [f"{job.id}-0-1-done.here"]
        assert await outbox_of(jobs, broken) == ["0-1-done"]
        assert ((await jobs.get(broken.id)).outbox_ms or 0) > now_ms() + UNREADABLE_DELAY_MS - HOUR
        assert [line["task_id"] for line in logs if line["log_level"] == "error"] == [broken.id]


async def test_a_job_that_cannot_be_read_waits(
    announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    await webhooks.insert(new_endpoint(id="here"))
    unreadable, job = await insert_ended(jobs, ms=1), await insert_ended(jobs, ms=2)

    class Jobs(FakeJobs):
        async def get_many(self, job_ids: Collection[str]) -> list[Job]:
            return [each for each in await super().get_many(job_ids) if each.id != unreadable.id]

    readable = Jobs()
    readable._documents = jobs._documents
    monkeypatch.setattr(announcer, "_stores", FakeStores(readable, announcer._stores.blobs, webhooks=webhooks))
    await announcer.announce_batch()

    assert deliveries_of(webhooks) == [f"{job.id}-0-1-done.here"]
    assert await outbox_of(jobs, unreadable) == ["0-1-done"]
    assert await jobs.find_with_events(limit=1) == []


@pytest.mark.parametrize("error", [AutoReconnect("away"), KeyError("a bug")])
async def test_after_an_error_events_are_handed_over_in_a_later_round(
    announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks, logs: list[EventDict], error: Exception
) -> None:
    await webhooks.insert(new_endpoint(id="here"))
    job = await insert_ended(jobs)
    webhooks.error = error

    assert not await announcer.run_round()
    assert await outbox_of(jobs, job) == ["0-1-done"]
    webhooks.error = None
    await announcer.run_round()

    assert deliveries_of(webhooks) == [f"{job.id}-0-1-done.here"]
    levels = [line["log_level"] for line in logs if line.get("step") == "announce"]
    assert levels == ["warning" if isinstance(error, TRANSIENT_ERRORS) else "error"]


@pytest.mark.parametrize(("error", "is_postponed"), [(AutoReconnect("away"), False), (KeyError("a bug"), True)])
async def test_an_error_at_one_owner_is_a_reason_to_wait_if_it_may_come_again(
    jobs: WatchedJobs, webhooks: WatchedWebhooks, stores: FakeStores, error: Exception, *, is_postponed: bool
) -> None:
    for owner in ("ada", "zoe"):
        await webhooks.insert(new_endpoint(id=owner, owner=owner))
    refused, job = await insert_ended(jobs, owner="ada", ms=1), await insert_ended(jobs, owner="zoe", ms=2)
    deliveries: Deliveries = RefusingDeliveries(webhooks, "ada", error)
    stores = FakeStores(jobs, stores.blobs, webhooks=webhooks, deliveries=deliveries)

    for _ in range(2):
        await new_announcer(stores).run_round()

    assert await outbox_of(jobs, refused) == ["0-1-done"]
    found = [outbox.job_id for outbox in await jobs.find_with_events(limit=9)]
    assert (refused.id in found) is not is_postponed
    assert not is_postponed or deliveries_of(webhooks) == [f"{job.id}-0-1-done.zoe"]


async def test_a_job_whose_events_are_refused_holds_up_no_other_one_of_its_owner(
    jobs: WatchedJobs, webhooks: WatchedWebhooks, stores: FakeStores
) -> None:
    await webhooks.insert(new_endpoint(id="here"))
    refused, *others = [await insert_ended(jobs, ms=1 + each) for each in range(3)]
    deliveries: Deliveries = RefusingDeliveries(webhooks, refused.id, KeyError("a bug"))
    stores = FakeStores(jobs, stores.blobs, webhooks=webhooks, deliveries=deliveries)

    await new_announcer(stores).run_round()

    assert deliveries_of(webhooks) == sorted(f"{job.id}-0-1-done.here" for job in others)
    assert [await outbox_of(jobs, job) for job in (refused, *others)] == [["0-1-done"], [], []]


async def test_one_gateway_works_at_a_time(stores: FakeStores, jobs: WatchedJobs, webhooks: WatchedWebhooks) -> None:
    class HeldByAnother(FakeLease):
        async def acquire(self, *_: Any, **__: Any) -> None: ...

    await webhooks.insert(new_endpoint(id="here", due_ms=1))
    job = await insert_ended(jobs)
    announcer = new_announcer(replace(stores, announcing=HeldByAnother()), poll_seconds=FOREVER)

    for _ in range(3):
        await announcer.run_round()

    assert jobs.looks == 1  # it knows then that it is not its turn
    assert await outbox_of(jobs, job) == ["0-1-done"]
    assert webhooks.endpoints["here"].next_dispatch_ms == 0


async def test_another_gateway_takes_over_when_the_lease_has_ended(
    stores: FakeStores, jobs: WatchedJobs, webhooks: WatchedWebhooks
) -> None:
    await webhooks.insert(new_endpoint(id="here"))
    await insert_ended(jobs)
    await new_announcer(stores).run_round()
    job = await insert_ended(jobs)
    await stores.announcing.record(stores.announcing._held["holder"], {"lease_ms": now_ms() - 1})  # type: ignore[attr-defined]

    await new_announcer(stores).run_round()

    assert await outbox_of(jobs, job) == []


async def test_a_gateway_without_work_takes_no_lease(stores: FakeStores) -> None:
    await new_announcer(stores).run_round()

    assert await stores.announcing.acquire("another", lease_ms=1) is not None


async def test_who_is_woken_does_not_wait_for_the_next_poll(
    stores: FakeStores, jobs: WatchedJobs, webhooks: WatchedWebhooks
) -> None:
    await webhooks.insert(new_endpoint(id="here"))
    first = await insert_ended(jobs)
    announcer = new_announcer(stores, poll_seconds=FOREVER)
    async with run_in_background(announcer.run()):
        await wait_for_clear(jobs)
        second = await insert_ended(jobs)

        announcer.wake()

        await wait_for_clear(jobs)
    assert deliveries_of(webhooks) == sorted(f"{job.id}-0-1-done.here" for job in (first, second))


async def test_who_is_not_woken_polls(stores: FakeStores, jobs: WatchedJobs, webhooks: WatchedWebhooks) -> None:
    async with run_in_background(new_announcer(stores, poll_seconds=0.01).run()):
        await webhooks.insert(new_endpoint(id="here"))
        job = await insert_ended(jobs)

        await wait_for_clear(jobs)
    assert deliveries_of(webhooks) == [f"{job.id}-0-1-done.here"]


async def test_where_nobody_has_webhooks_no_due_one_is_looked_for(stores: FakeStores) -> None:
    looks: list[int] = []

    class CountingWebhooks(FakeWebhooks):
        async def find_due(self, *, limit: int) -> Endpoints:
            looks.append(limit)
            return []

    announcer = new_announcer(replace(stores, webhooks=(webhooks := CountingWebhooks())))
    await announcer.run_round()
    before = len(looks)
    await webhooks.insert(new_endpoint(id="here"))
    await announcer.run_round()

    assert (before, len(looks)) == (0, 1)


async def test_where_nobody_has_webhooks_an_end_wakes_nobody(stores: FakeStores, jobs: WatchedJobs) -> None:
    announcer = new_announcer(stores, poll_seconds=FOREVER)
    await insert_ended(jobs)
    async with run_in_background(announcer.run()):
        await wait_for_clear(jobs)
        looks = jobs.looks

        for _ in range(20):
            announcer.wake()
            await asyncio.sleep(0)

        assert jobs.looks == looks


class TestAnEndpointThatIsDue:
    async def test_has_its_deliveries_sent_by_one_message(
        self, announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks, broker: FakeBroker
    ) -> None:
        await webhooks.insert(endpoint := new_endpoint())
        await insert_ended(jobs)

        for _ in range(3):
            await announcer.run_round()

        [message] = broker.take_messages()
        assert message.headers["task"] == NOTIFY
        assert message.decode()[0] == [endpoint.id]
        assert webhooks.endpoints[endpoint.id].next_dispatch_ms > now_ms() + RESERVED_MS - HOUR

    async def test_is_found_again_when_its_message_was_lost(
        self, announcer: Announcer, webhooks: WatchedWebhooks, broker: FakeBroker
    ) -> None:
        await webhooks.insert(new_endpoint(due_ms=1, next_dispatch_ms=now_ms() - 1))

        await announcer.run_round()

        assert len(broker.take_messages()) == 1

    @pytest.mark.parametrize(("sent_ms", "messages"), [(-60_000, 0), (0, 0), (PUBLISH_MS + 1, 1)])
    async def test_waits_while_its_message_may_be_in_the_queue(
        self, stores: FakeStores, webhooks: WatchedWebhooks, broker: FakeBroker, sent_ms: int, messages: int
    ) -> None:
        reserved_ms, queues = now_ms() - HOUR, FakeQueues()
        await webhooks.insert(new_endpoint(due_ms=1, next_dispatch_ms=reserved_ms + RESERVED_MS))
        await webhooks.insert(other := new_endpoint(due_ms=2))
        queues.push(NOTIFY, reserved_ms + sent_ms)
        announcer = new_announcer(stores, queues=queues)

        for _ in range(2):
            await announcer.run_round()
            webhooks.endpoints[other.id] = other

        assert len(broker.take_messages()) == 2 + messages

    async def test_waits_for_its_time(
        self, announcer: Announcer, webhooks: WatchedWebhooks, broker: FakeBroker
    ) -> None:
        await webhooks.insert(new_endpoint(due_ms=now_ms() + HOUR))

        await announcer.run_round()

        assert broker.take_messages() == []

    @pytest.mark.usefixtures("no_broker")
    async def test_waits_while_the_broker_is_away_and_so_do_the_others(
        self, announcer: Announcer, webhooks: WatchedWebhooks, logs: list[EventDict]
    ) -> None:
        for _ in range(3):
            await webhooks.insert(new_endpoint(due_ms=1))

        await announcer.run_round()

        assert [line["event"] for line in logs] == ["webhook.undispatched"]
        assert sorted(bool(endpoint.next_dispatch_ms) for endpoint in webhooks.endpoints.values()) == [
            False,
            False,
            True,
        ]


class TestAJobThatMovesOn:
    async def test_has_its_events_handed_over_by_whoever_asks(
        self, stores: FakeStores, announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks
    ) -> None:
        await stores.announcing.acquire("another gateway", lease_ms=HOUR)
        await webhooks.insert(new_endpoint(id="here"))
        job = await insert_ended(jobs)

        await announcer.announce(job)

        assert (deliveries_of(webhooks), await outbox_of(jobs, job)) == ([f"{job.id}-0-1-done.here"], [])

    async def test_has_the_event_handed_over_too_that_came_after_it_was_read(
        self, announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks
    ) -> None:
        await webhooks.insert(new_endpoint(id="all", events=[*EventType]))
        seen = await insert_ended(jobs)
        await jobs.mark_expiring(seen)
        await jobs.mark_blobs_removed(seen)

        await announcer.announce(seen)

        assert deliveries_of(webhooks) == [f"{seen.id}-0-1-done.all", f"{seen.id}-0-2-expired.all"]
        assert await outbox_of(jobs, seen) == []

    async def test_may_be_gone(self, announcer: Announcer, webhooks: WatchedWebhooks) -> None:
        await webhooks.insert(new_endpoint(id="here"))

        await announcer.announce(job := new_ended_job())

        assert deliveries_of(webhooks) == [f"{job.id}-0-1-done.here"]

    async def test_costs_nothing_without_events(self, announcer: Announcer, webhooks: WatchedWebhooks) -> None:
        await announcer.announce(new_job(state=JobState.DEAD))

        assert webhooks.read == []

    async def test_stays_if_the_database_is_away(
        self, announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks
    ) -> None:
        job = await insert_ended(jobs)
        webhooks.error = AutoReconnect("away")

        with pytest.raises(AutoReconnect):
            await announcer.announce(job)

        assert await outbox_of(jobs, job) == ["0-1-done"]


async def test_events_are_counted_by_type_whether_they_are_wanted_or_not(
    announcer: Announcer, jobs: WatchedJobs, webhooks: WatchedWebhooks, registry: CollectorRegistry
) -> None:
    await webhooks.insert(new_endpoint(owner="ada", events=["job.dead"]))
    for owner in ("ada", "zoe"):
        await insert_ended(jobs, JobState.DEAD, owner=owner)
    await insert_ended(jobs, owner="ada")
    newer = {"0-1-archived": {"type": "job.archived", "ms": 6}}
    await jobs.insert(new_job(state=JobState.DONE, outbox=newer, outbox_ms=6))
    await jobs.insert(moving := new_ended_job(JobState.CANCELLED))

    await announcer.announce(moving)
    await announcer.announce_batch()

    types = ["job.dead", "job.done", "job.cancelled", "job.failed", "other"]
    counts = [registry.get_sample_value("darkroom_events_total", {"type": each}) for each in types]
    assert counts == [2, 1, 1, 0, 1]


class TestWhetherRenditionsAreWanted:
    @pytest.mark.parametrize(
        ("owner", "fields", "are_wanted"),
        [
            ("ada", {"events": ["rendition.done"]}, True),
            ("ada", {"events": ["job.done"]}, False),
            ("ada", {"events": ["rendition.done"], "disabled": DisabledReason.OWNER}, False),
            ("zoe", {"events": ["rendition.done"]}, False),
            (None, {"events": ["rendition.done"]}, False),
        ],
    )
    async def test_is_what_some_enabled_endpoint_of_the_owner_says(
        self,
        announcer: Announcer,
        webhooks: WatchedWebhooks,
        owner: str | None,
        fields: dict[str, Any],
        *,
        are_wanted: bool,
    ) -> None:
        await webhooks.insert(new_endpoint(owner=owner, **fields))
        await webhooks.insert(new_endpoint(owner=owner))

        assert await announcer.renditions.are_wanted(new_job(owner="ada")) is are_wanted

    async def test_is_read_once_in_a_while_and_again_when_webhooks_have_changed(
        self, announcer: Announcer, webhooks: WatchedWebhooks
    ) -> None:
        jobs = [new_job(owner=owner) for owner in ("ada", "ada", None, None)]
        assert [await announcer.renditions.are_wanted(job) for job in jobs] == [False] * 4
        assert webhooks.read == ["ada", None]

        await webhooks.insert(new_endpoint(owner="ada", events=["rendition.done"]))
        announcer.renditions.forget("ada")

        assert await announcer.renditions.are_wanted(jobs[0])

    async def test_is_no_question_for_jobs_without_renditions(
        self, announcer: Announcer, webhooks: WatchedWebhooks
    ) -> None:
        await webhooks.insert(new_endpoint(events=["rendition.done"]))

        assert not await announcer.renditions.are_wanted(new_job(Kind.CROP))
        assert not await announcer.renditions.are_wanted(new_job(Kind.IMAGE))
        assert webhooks.read == []

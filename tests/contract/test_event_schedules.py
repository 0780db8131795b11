"""Jobs that end again and again, while gateways die: each end is one event, and one delivery for each who wants it."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from gateway.job_actions import delete_job, retry_job
from gateway.metrics import GatewayMetrics
from gateway.problems import Problem
from gateway.reprocessing import reprocess_job
from gateway.webhooks.announcer import Announcer
from pipeline.settings import RetentionSettings, Settings
from pipeline.tidying.context import TidyContext
from pipeline.tidying.expiry import Expiry
from storage.clock import now_ms
from storage.documents import Failure, Job, JobState, Kind, StageRecord, StageState
from storage.errors import JobNotFound
from storage.events import EventType
from storage.ledger import Ledger
from storage.outbox import with_end_event
from storage.stores import Stores
from storage.webhooks import DELIVERIES, Delivery, DisabledReason, WebhookEndpoint
from tests.support.announcing import new_announcer
from tests.support.fakes import FakeLease, new_job
from tests.support.revisions import Run, start_run

STEPS = 150
HOUR = 3_600_000
KILL_SHARE, ERROR_SHARE, MEANWHILE_SHARE, WITH_EVENTS_SHARE, FORGOTTEN_SHARE = 0.05, 0.03, 0.25, 0.7, 0.5
EXHAUSTED = Failure(stage=None, code="dispatches_exhausted", message="Too many times.")
WRITES = {"insert", "cancel", "retry", "reprocess", "mark_dead", "mark_expiring", "mark_blobs_removed", "remove"}
RANKS = {"rendition.done": 0, "job.expired": 2}
ALL, FEW, FAILURES, DISABLED = (
    WebhookEndpoint(id="all", owner="ada", url="https://ada.example/", events=[*EventType]),
    WebhookEndpoint(
        id="few", owner="ada", url="https://ada.example/few", events=["job.done", "job.expired"], is_thin=True
    ),
    WebhookEndpoint(id="failures", owner="bob", url="https://bob.example/", events=["job.failed", "job.dead"]),
    WebhookEndpoint(
        id="disabled", owner="zoe", url="https://zoe.example/", events=[*EventType], disabled=DisabledReason.OWNER
    ),
)


class Killed(BaseException):
    """A gateway is killed."""


class Event:
    """An event that has happened, as one knows who looks at the job's state and not at its outbox."""

    def __init__(self, job: Job, kind: str, rendition: str | None = None) -> None:
        self.job_id, self.owner, self.life, self.kind = job.id, job.owner, job.first_generation, kind
        self.place = (self.life, RANKS.get(kind, 1))
        self.id = f"{job.id}-{self.life}-{self.place[1]}-{rendition or kind.rpartition('.')[2]}"

    def ids_of_deliveries(self) -> set[str]:
        wanting = [each for each in (ALL, FEW, FAILURES) if each.owner == self.owner and self.kind in each.events]
        return {f"{self.id}.{endpoint.id}" for endpoint in wanting}


class Witness:
    """Looks at the jobs after each change, and writes down what has happened to them."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self._done: dict[str, set[str]] = defaultdict(set)
        self._ended: set[tuple[str, int]] = set()

    async def look(self) -> None:
        async for document in Job.get_motor_collection().find({"kind": {"$ne": Kind.IMAGE.value}}):
            self._see(Job.model_validate(document))

    def _see(self, job: Job) -> None:
        life = (job.id, job.first_generation)
        done = {name for name in job.operation.renditions if job.stages[name].state is StageState.DONE}
        is_restored = life not in self._ended and job.reprocess_failure is not None and not job.is_active
        if job.announces_renditions and not is_restored:
            for name in sorted(done - self._done[job.id]):
                self._note(Event(job, "rendition.done", name))
        self._done[job.id] = done
        if not job.is_active and life not in self._ended:
            self._ended.add(life)
            self._note(Event(job, f"job.{job.state}"))
        if job.state is JobState.DONE and job.blobs_removed_ms is not None:
            self._note(Event(job, "job.expired"))

    def _note(self, event: Event) -> None:
        self.events.setdefault(event.id, event)


class Hindered:
    """A store of a gateway that may be killed before or after each call, and where others do something meanwhile."""

    def __init__(self, store: Any, schedule: Schedule) -> None:
        self._store, self._schedule = store, schedule

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._schedule.hinder()
            async with self._schedule.change(is_seen=name in WRITES):
                answer = await found(*args, **kwargs)
                if name == "insert_new":
                    await self._schedule.find_overtaking()
            await self._schedule.hinder()
            return answer

        return call


class Change:
    """One change of the jobs at a time, which the witness sees before the next one."""

    def __init__(self, lock: asyncio.Lock, witness: Witness, *, is_seen: bool) -> None:
        self._lock, self._witness, self._is_seen = lock, witness, is_seen

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._is_seen:
                await self._witness.look()
        finally:
            self._lock.release()


class Schedule:
    """A random order of what workers, clients, tidiers and two announcers do to some jobs."""

    def __init__(self, seed: int, stores: Stores, ledger: Ledger) -> None:
        self._random = Random(seed)  # noqa: S311  # the same schedules in every run
        self._stores, self._ledger = stores, ledger
        self._settings = Settings(retention=RetentionSettings(results=60, refused=60, records=60))
        self._witness, self._lock = Witness(), asyncio.Lock()
        self._depth = 0
        self._runs: list[Run] = []
        self._announcers = [self._new_announcer() for _ in range(2)]
        self.kills = self.errors = 0
        self.overtaking = set[str]()

    async def run(self) -> dict[str, Event]:
        """Do all steps, then let an announcer come to the end of its work; return what has happened."""
        for endpoint in (ALL, FEW, FAILURES, DISABLED):
            await self._stores.webhooks.insert(endpoint)
        for _ in range(4):
            await self._insert()
        for _ in range(STEPS):
            await self._step()
        healthy = new_announcer(replace(self._stores, announcing=FakeLease()), self._settings)
        while await self._stores.jobs.find_with_events(limit=1):
            await healthy.announce_batch()
        return self._witness.events

    def change(self, *, is_seen: bool = True) -> Change:
        return Change(self._lock, self._witness, is_seen=is_seen)

    async def find_overtaking(self) -> None:
        """Look for an event of a job that has a delivery while one before it has none: they are sent in their order."""
        ids = {delivery.id for delivery in await read_deliveries()}
        gaps = set[str]()
        for event in self._witness.events.values():
            wanted = event.ids_of_deliveries()
            queues = {f"{event.job_id}.{delivery_id.rpartition('.')[2]}": delivery_id for delivery_id in wanted}
            self.overtaking |= {queues[queue] for queue in gaps & queues.keys()} & ids
            gaps |= {queue for queue, delivery_id in queues.items() if delivery_id not in ids}

    async def hinder(self) -> None:
        """Do something else meanwhile, or kill the one who calls a store, or tell it that the store is away."""
        if self._depth < 3 and self._random.random() < MEANWHILE_SHARE:
            await self._step()
        chance = self._random.random()
        if chance < KILL_SHARE:
            self.kills += 1
            raise Killed
        if chance < KILL_SHARE + ERROR_SHARE:
            self.errors += 1
            raise AutoReconnect("the primary is gone")

    def _new_announcer(self) -> Announcer:
        """Return an announcer that has a lease whoever else has one."""
        return new_announcer(replace(self._hindered(), announcing=FakeLease()), self._settings)

    def _hindered(self) -> Stores:
        names = ("jobs", "webhooks", "deliveries")
        stores: Any = {name: Hindered(getattr(self._stores, name), self) for name in names}
        return replace(self._stores, **stores)

    async def _step(self) -> None:
        steps: dict[Callable[[], Awaitable[object]], int] = {
            self._claim: 12,
            self._go_on: 8,
            self._finish: 10,
            self._fail: 6,
            self._give_up: 2,
            self._insert: 2,
            self._insert_duplicate: 1,
            self._retry: 6,
            self._reprocess: 4,
            self._delete: 2,
            self._expire: 4,
            self._announce: 5,
            self._announce_twice: 4,
        }
        [step] = self._random.choices([*steps], [*steps.values()])
        self._depth += 1
        try:
            await step()
        except (Killed, AutoReconnect, Problem, JobNotFound):
            pass  # the next gateway, or the client, goes on
        finally:
            self._depth -= 1

    async def _pick(self, *states: JobState) -> Job | None:
        """Return a job in one of these states, one with events if there is any, more often than not."""
        wanted = {"state": {"$in": [state.value for state in states or JobState]}}
        documents = await Job.get_motor_collection().find(wanted).sort("_id", 1).to_list(None)
        with_events = [document for document in documents if document["outbox_ms"]]
        if with_events and self._random.random() < WITH_EVENTS_SHARE:
            documents = with_events
        return Job.model_validate(self._random.choice(documents)) if documents else None

    async def _insert(self, **fields: Any) -> Job:
        owner = self._random.choice(["ada", "ada", "ada", "bob", "bob", "zoe", None])
        kind = self._random.choice([Kind.PREVIEWS, Kind.PREVIEWS, Kind.PREVIEWS, Kind.CROP, Kind.IMAGE])
        renditions = {"small": 160, "large": 1600} if kind in {Kind.PREVIEWS, Kind.IMAGE} else {}
        announces = kind is Kind.PREVIEWS and self._random.random() < 0.5
        job = new_job(kind, renditions=renditions, owner=owner, announces_renditions=announces, **fields)
        self._stores.blobs.put(job.original.blob, b"original")
        if job.state is JobState.DONE:
            job = job.model_copy(update={"kind": Kind.CROP} if kind is Kind.IMAGE else {})
        async with self.change():
            await self._stores.jobs.insert(job)
        return job

    async def _insert_duplicate(self) -> None:
        job = new_job(renditions={"small": 160}, owner="ada", announces_renditions=self._random.random() < 0.5)
        done = StageRecord(state=StageState.DONE, result={})
        fields = {"state": JobState.DONE, "finished_ms": now_ms(), "stages": dict.fromkeys(job.stages, done)}
        job = job.model_copy(update=fields)
        self._stores.blobs.put(job.original.blob, b"original")
        async with self.change():
            await self._stores.jobs.insert(job.model_copy(update=with_end_event(job, now=now_ms())))

    async def _claim(self) -> None:
        job = await self._pick(JobState.ACCEPTED, JobState.PROCESSING)
        if job and (unfinished := _unfinished(job)):
            stage = self._random.choice(unfinished[:2])
            if run := start_run(self._ledger, self._stores.blobs, job.id, stage):
                self._runs.append(run)

    async def _go_on(self) -> None:
        if self._runs:
            run = self._runs.pop(self._random.randrange(len(self._runs)))
            [act] = self._random.choices([run.complete, run.refuse, run.mark_dead, run.release], [6, 2, 2, 1])
            async with self.change():
                act()

    async def _finish(self) -> None:
        """Let a job come some stages further, undisturbed."""
        job = await self._pick(JobState.ACCEPTED, JobState.PROCESSING)
        for stage in _unfinished(job)[: self._random.randint(1, 4)] if job else ():
            async with self.change():
                if job and (run := start_run(self._ledger, self._stores.blobs, job.id, stage)):
                    run.complete()

    async def _fail(self) -> None:
        """Let the next stage of a job end it."""
        job = await self._pick(JobState.ACCEPTED, JobState.PROCESSING)
        for stage in _unfinished(job)[:1] if job else ():
            async with self.change():
                if job and (run := start_run(self._ledger, self._stores.blobs, job.id, stage)):
                    self._random.choice([run.refuse, run.mark_dead])()

    async def _give_up(self) -> None:
        if job := await self._pick(JobState.ACCEPTED, JobState.PROCESSING):
            await self._hindered().jobs.mark_dead(job, EXHAUSTED)

    async def _retry(self) -> None:
        if job := await self._pick(JobState.DEAD, JobState.FAILED):
            stores = self._hindered()
            announcer = new_announcer(stores, self._settings)
            await retry_job(job, jobs=stores.jobs, announcer=announcer, settings=self._settings)

    async def _reprocess(self) -> None:
        job = await self._pick(JobState.DONE, JobState.DEAD, JobState.FAILED)
        if job and job.kind is not Kind.IMAGE:
            stores = self._hindered()
            announcer = new_announcer(stores, self._settings)
            await reprocess_job(
                job, job.operation, lane=job.lane, stores=stores, announcer=announcer, settings=self._settings
            )

    async def _delete(self) -> None:
        if job := await self._pick():
            stores = self._hindered()
            announcer = new_announcer(stores, self._settings)
            await delete_job(job, stores=stores, announcer=announcer, metrics=GatewayMetrics())

    async def _expire(self) -> None:
        """Let the tidier look at a job as if it had ended an hour ago, and perhaps as if that was long ago, too."""
        job = await self._pick(JobState.DONE, JobState.DEAD, JobState.FAILED, JobState.CANCELLED)
        context = TidyContext(self._hindered(), self._settings)
        expiry = Expiry(context)
        try:
            await self._age(job, "finished_ms")
            for step in (expiry.remove_expired, expiry.remove_refused, expiry.remove_cancelled):
                await step()
            if self._random.random() < FORGOTTEN_SHARE:
                await self._age(job, "blobs_removed_ms")
                await expiry.remove_documents()
        finally:
            context.close()

    async def _age(self, job: Job | None, field: str) -> None:
        if job is not None:
            ago = {"$set": {field: now_ms() - HOUR}}
            await Job.get_motor_collection().update_one({"_id": job.id, field: {"$gt": 0}}, ago)

    async def _announce(self) -> None:
        await self._random.choice(self._announcers).announce_batch()

    async def _announce_twice(self) -> None:
        both = [announcer.announce_batch() for announcer in self._announcers]
        for outcome in await asyncio.gather(*both, return_exceptions=True):
            assert outcome is None or isinstance(outcome, bool | Killed | AutoReconnect), outcome


def _unfinished(job: Job) -> list[str]:
    return [name for name, record in job.stages.items() if record.state is not StageState.DONE]


async def read_deliveries() -> list[Delivery]:
    found = Job.get_motor_collection().database[DELIVERIES].find({})
    return [Delivery.model_validate(document) for document in await found.to_list(None)]


@pytest.fixture(scope="module", params=range(6))
def seed(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


async def test_each_end_of_a_job_is_one_event_and_one_delivery_to_each_who_wants_it(
    stores: Stores, ledger: Ledger, seed: int
) -> None:
    schedule = Schedule(seed, stores, ledger)

    events = await schedule.run()

    deliveries = await read_deliveries()
    expected = {delivery_id for event in events.values() for delivery_id in event.ids_of_deliveries()}
    assert sorted(delivery.id for delivery in deliveries) == sorted(expected)
    assert schedule.overtaking == set()
    assert min(len(events), schedule.kills, schedule.errors) > 3
    for delivery in deliveries:
        _check_payload(delivery, events[delivery.event_id])
    _check_order(deliveries, events)


def _check_payload(delivery: Delivery, event: Event) -> None:
    payload = json.loads(delivery.payload)
    state = "done" if event.kind == "job.expired" else event.kind.removeprefix("job.")
    assert (payload["type"], payload["data"]["task_id"]) == (event.kind, event.job_id)
    assert event.kind == "rendition.done" or payload["data"]["status"] == state
    assert (delivery.owner, delivery.task_id, delivery.type) == (event.owner, event.job_id, event.kind)


def _check_order(deliveries: list[Delivery], events: dict[str, Event]) -> None:
    """Check that the deliveries of a job sort as its events have happened: renditions first, then the end."""
    places = {event_id: number for number, event_id in enumerate(events)}
    by_queue: dict[tuple[str, str], list[Delivery]] = defaultdict(list)
    for delivery in sorted(deliveries, key=lambda each: each.order):
        by_queue[delivery.task_id, delivery.endpoint_id].append(delivery)
    for queue in by_queue.values():
        ends = [places[each.event_id] for each in queue if each.type != "rendition.done"]
        assert ends == sorted(ends)
        assert [events[each.event_id].place for each in queue] == sorted(events[each.event_id].place for each in queue)

"""Bulk actions under random schedules: gateways that die, stores that fail, leases that end. Each job changes once."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect

from gateway.bulk.presets import store_presets
from gateway.bulk.runner import BulkRunner
from gateway.metrics import GatewayMetrics
from pipeline.http_settings import BulkSettings
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.bulk_actions import BulkAction, BulkKind, BulkState
from storage.clock import now_ms
from storage.documents import Job, JobState, Kind, blob_key
from storage.job_filter import JobFilter
from storage.job_ids import new_job_id
from tests.support.announcing import new_announcer
from tests.support.fakes import (
    UNREACHABLE_URL,
    FakeBroker,
    FakeBulkActions,
    FakeJobs,
    FakeQueues,
    FakeStores,
    new_job,
    use_broker,
)
from tests.support.presets import build_presets
from tests.support.properties import EXAMPLES

SETTINGS = Settings(
    redis_url="memory://", result_url=UNREACHABLE_URL, blob_url="memory:///", bulk=BulkSettings(rate=1000, lease=60)
)
PRESETS = build_presets(product={"renditions": {"card": {"edge": 300}}})
WANTED = PRESETS.get("product").resolve({})
WHOLE_STATES = (JobState.DONE, JobState.FAILED, JobState.DEAD)


class Killed(BaseException):
    """The gateway is killed."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong at a call of a store: before it has acted, or after; an error, or the end of the gateway."""

    call: int
    is_late: bool
    kills: bool


@dataclass(frozen=True)
class Turn:
    """One round of a gateway, with faults; all leases may end before it."""

    faults: Sequence[Fault]
    leases_end: bool


faults = st.builds(Fault, call=st.integers(3, 16), is_late=st.booleans(), kills=st.booleans())
turns = st.builds(Turn, faults=st.lists(faults, min_size=1, max_size=3), leases_end=st.booleans())
states = st.lists(st.sampled_from(JobState), min_size=1, max_size=12)
schedules = st.lists(turns, min_size=1, max_size=6)


class Faulty:
    """A store whose calls fail as the round says, and take a moment, so that others come in between."""

    def __init__(self, store: Any, turn: Turn, calls: Counter[str]) -> None:
        self._store, self._faults, self._calls = store, {fault.call: fault for fault in turn.faults}, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            fault = self._faults.get(self._calls["all"])
            self._calls["all"] += 1
            await asyncio.sleep(0)
            if fault and not fault.is_late:
                raise _error_of(fault)
            answer = await found(*args, **kwargs)
            if fault:
                raise _error_of(fault)
            return answer

        return call


def make_faulty(store: Any, turn: Turn, calls: Counter[str]) -> Any:
    return Faulty(store, turn, calls)


def _error_of(fault: Fault) -> BaseException:
    return Killed() if fault.kills else AutoReconnect("the primary is gone")


def new_runner(stores: FakeStores, metrics: GatewayMetrics, queues: FakeQueues | None = None) -> BulkRunner:
    return BulkRunner(stores, queues or FakeQueues(), new_announcer(stores, SETTINGS), SETTINGS, metrics)


class World:
    """Jobs, one bulk action on them, and the gateways that carry it out."""

    def __init__(self) -> None:
        self.jobs, self.actions, self.blobs = FakeJobs(), FakeBulkActions(), Blobs.open("memory:///")
        self.metrics = GatewayMetrics()

    async def add_job(self, state: JobState, **fields: Any) -> Job:
        fields = {"finished_ms": None if state in {"accepted", "processing"} else 1, **fields}
        job_id = new_job_id()
        job = new_job(id=job_id, state=state, dispatched_ms=1, **fields)
        self.blobs.put(blob_key(job_id, "original"), b"photo")
        await self.jobs.insert(job)
        return job

    async def add_action(self, kind: BulkKind, **fields: Any) -> BulkAction:
        stored = store_presets(PRESETS)
        values = {"filter": None if "task_ids" in fields else JobFilter(), "presets": stored} | fields
        action = BulkAction(id=new_job_id(), action=kind, **values)
        await self.actions.insert(action)
        return action

    async def run_turn(self, turn: Turn) -> None:
        """Run one round of a gateway that has just started."""
        if turn.leases_end:
            self.end_leases()
        calls: Counter[str] = Counter()
        jobs, actions = make_faulty(self.jobs, turn, calls), make_faulty(self.actions, turn, calls)
        stores = FakeStores(jobs, self.blobs, bulk_actions=actions)
        runner = new_runner(stores, self.metrics)
        try:
            await runner.run_round()
        except Killed:
            return

    async def run_to_end(self, action: BulkAction) -> BulkAction:
        """Let healthy gateways carry the action out."""
        for _ in range(200):
            await self.run_turn(Turn((), leases_end=True))
            found = await self.actions.get(action.id, owner=None)
            if not found.is_active:
                return found
        raise AssertionError("it does not end")

    def end_leases(self) -> None:
        for action_id, action in self.actions._actions.items():
            self.actions._actions[action_id] = action.model_copy(update={"lease_ms": min(action.lease_ms, 1)})


@pytest.fixture(autouse=True)
def broker() -> None:
    use_broker(FakeBroker.settings)


@EXAMPLES
@given(kind=st.sampled_from(BulkKind), states=states, schedule=schedules, waves=st.booleans())
async def test_each_job_is_changed_once_and_counted_once(
    kind: BulkKind, states: list[JobState], schedule: list[Turn], waves: bool
) -> None:
    world = World()
    jobs = [await world.add_job(state, operation=_operation_of(number)) for number, state in enumerate(states)]
    action = await world.add_action(kind, preset="product" if kind is BulkKind.REPROCESS else None)

    if waves:
        await asyncio.gather(*(world.run_turn(turn) for turn in schedule))
    else:
        for turn in schedule:
            await world.run_turn(turn)
    ended = await world.run_to_end(action)

    needed = [job for job in jobs if _needs(kind, job)]
    impossible = [job for job in jobs if kind is BulkKind.REPROCESS and _is_impossible(job)]
    for job in jobs:
        await _check(world, kind, job, is_needed=job in needed)
    counts = ended.counts
    assert (counts.matched, counts.done, sum(counts.failed.values())) == (len(jobs), len(needed), len(impossible))
    assert counts.skipped == len(jobs) - len(needed) - len(impossible)
    assert (ended.state, ended.pending) == (BulkState.DONE, [])


def _operation_of(number: int) -> Any:
    """Every third job is already as it should be."""
    return WANTED if number % 3 == 0 else new_job().operation


def _needs(kind: BulkKind, job: Job) -> bool:
    match kind:
        case BulkKind.RETRY:
            return job.state in {JobState.FAILED, JobState.DEAD}
        case BulkKind.CANCEL:
            return job.is_active
        case BulkKind.DELETE:
            return True
    is_current = job.operation == WANTED
    return job.state in WHOLE_STATES and not (job.state is JobState.DONE and is_current)


def _is_impossible(job: Job) -> bool:
    if job.state is JobState.CANCELLED:
        return True
    return job.is_active and job.operation != WANTED


async def _check(world: World, kind: BulkKind, job: Job, *, is_needed: bool) -> None:
    found = next(iter(await world.jobs.get_many([job.id])), None)
    if kind is BulkKind.DELETE:
        assert found is None if not job.is_active else found and found.state is JobState.CANCELLED
        return
    assert found is not None
    if kind is BulkKind.CANCEL:
        assert found.state is (JobState.CANCELLED if is_needed else job.state)
        assert found.version == job.version + is_needed
        return
    assert found.generation == job.generation + is_needed
    assert found.revision == (is_needed and kind is BulkKind.REPROCESS)
    assert not is_needed or found.lane == "bulk"


@pytest.mark.parametrize("call", range(12))
@pytest.mark.parametrize("is_late", [False, True])
async def test_a_gateway_that_dies_at_any_step_loses_nothing(call: int, *, is_late: bool) -> None:
    world = World()
    jobs = [await world.add_job(JobState.DEAD) for _ in range(3)]
    action = await world.add_action(BulkKind.RETRY)

    await world.run_turn(Turn([Fault(call, is_late=is_late, kills=True)], leases_end=False))
    ended = await world.run_to_end(action)

    assert ended.counts.done == 3
    assert [job.generation for job in await world.jobs.get_many([job.id for job in jobs])] == [1, 1, 1]


async def test_nobody_goes_on_with_an_action_while_its_lease_lasts() -> None:
    world = World()
    job = await world.add_job(JobState.DEAD)
    action = await world.add_action(BulkKind.RETRY)
    await world.run_turn(Turn([Fault(4, is_late=True, kills=True)], leases_end=False))

    await world.run_turn(Turn((), leases_end=False))

    assert (await world.actions.get(action.id, owner=None)).pending == [job.id]
    assert (await world.jobs.get(job.id)).state is JobState.DEAD


async def test_a_job_at_which_a_store_fails_for_ever_does_not_stop_the_others() -> None:
    world = World()
    broken, sound = await world.add_job(JobState.DEAD), await world.add_job(JobState.DEAD)
    action = await world.add_action(BulkKind.RETRY)

    class Jobs(FakeJobs):
        async def get(self, job_id: str, **scope: Any) -> Job:
            if job_id == broken.id:
                raise AutoReconnect("this document only")
            return await super().get(job_id, **scope)

    jobs = Jobs()
    jobs._documents = world.jobs._documents
    runner = new_runner(FakeStores(jobs, world.blobs, bulk_actions=world.actions), world.metrics)
    for _ in range(10):
        await runner.run_round()

    ended = await world.actions.get(action.id, owner=None)
    assert (ended.state, ended.counts.done, ended.counts.failed) == (BulkState.DONE, 1, {"unavailable": 1})
    assert (await world.jobs.get(sound.id)).is_active


async def test_what_is_cancelled_does_not_go_on() -> None:
    world = World()
    jobs = [await world.add_job(JobState.DEAD) for _ in range(80)]
    action = await world.add_action(BulkKind.RETRY)
    await world.run_turn(Turn((), leases_end=False))

    await world.actions.cancel(action.id)
    for _ in range(5):
        await world.run_turn(Turn((), leases_end=True))

    ended = await world.actions.get(action.id, owner=None)
    assert ended.state is BulkState.CANCELLED
    retried = [job for job in await world.jobs.get_many([job.id for job in jobs]) if job.is_active]
    assert 0 < len(retried) == ended.counts.done < 80


async def test_jobs_that_are_submitted_later_are_not_touched() -> None:
    world = World()
    action = await world.add_action(BulkKind.DELETE)
    later = await world.add_job(JobState.DONE)

    ended = await world.run_to_end(action)

    assert ended.counts.matched == 0
    assert (await world.jobs.get(later.id)).state is JobState.DONE


async def test_a_job_that_ends_before_it_is_cancelled_keeps_its_results() -> None:
    world = World()
    job = await world.add_job(JobState.PROCESSING)
    action = await world.add_action(BulkKind.CANCEL)

    class Jobs(FakeJobs):
        async def cancel(self, job: Job) -> bool:
            self._documents[job.id] = job.model_copy(update={"state": JobState.DONE, "finished_ms": now_ms()})
            return await super().cancel(job)

    jobs = Jobs()
    jobs._documents = world.jobs._documents
    runner = new_runner(FakeStores(jobs, world.blobs, bulk_actions=world.actions), world.metrics)
    await runner.run_round()

    ended = await world.actions.get(action.id, owner=None)
    assert (ended.counts.done, ended.counts.skipped) == (0, 1)
    assert (await jobs.get(job.id)).state is JobState.DONE
    assert world.blobs.exists(blob_key(job.id, "original"))


async def test_an_action_that_starts_jobs_waits_while_a_queue_is_long() -> None:
    world = World()
    await world.add_job(JobState.DEAD)
    retry, delete = await world.add_action(BulkKind.RETRY), await world.add_action(BulkKind.DELETE, task_ids=["none"])
    queues = FakeQueues()
    for _ in range(SETTINGS.bulk.max_queue):
        queues.push("validate", now_ms())
    stores = FakeStores(world.jobs, world.blobs, bulk_actions=world.actions)

    await new_runner(stores, world.metrics, queues).run_round()

    assert (await world.actions.get(retry.id, owner=None)).state is BulkState.ACCEPTED
    assert (await world.actions.get(delete.id, owner=None)).state is BulkState.DONE


async def test_the_presets_are_those_from_when_the_action_was_accepted() -> None:
    world = World()
    old = build_presets(product={"renditions": {"card": {"edge": 300}}}).get("product").resolve({})
    job = await world.add_job(JobState.DONE, operation=old, kind=Kind.PREVIEWS)
    newer = build_presets(product={"renditions": {"card": {"edge": 500}}})
    action = await world.add_action(
        BulkKind.REPROCESS, filter=JobFilter(preset="product", is_outdated=True), presets=store_presets(newer)
    )

    await world.run_to_end(action)

    found = await world.jobs.get(job.id)
    assert found.operation.renditions == {"card": 500}
    assert found.operation.preset == newer.get("product").reference

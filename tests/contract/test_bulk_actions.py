"""The documents of bulk actions, and the jobs that they are for: on Mongo's wire, and the fakes beside it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from storage.bulk_actions import BulkAction, BulkActions, BulkCounts, BulkKind, BulkState
from storage.clock import now_ms
from storage.documents import Job, JobState, Kind, Operation, PresetReference
from storage.errors import BulkActionNotFound
from storage.job_filter import JobFilter
from storage.job_ids import new_job_id
from storage.jobs import Jobs
from storage.stores import Stores
from tests.support.fakes import FakeBulkActions, new_job
from tests.support.fakes import new_job_id as new_random_job_id

LEASE_MS = 60_000


@pytest.fixture(params=["real", "fake"])
def actions(request: pytest.FixtureRequest) -> BulkActions:
    if request.param == "fake":
        return FakeBulkActions()
    stores: Stores = request.getfixturevalue("stores")
    return stores.bulk_actions


async def insert(actions: BulkActions, **fields: Any) -> BulkAction:
    values = {"id": new_job_id(), "action": BulkKind.RETRY, "task_ids": ["one"]} | fields
    action = BulkAction(**values)
    await actions.insert(action)
    return action


async def test_a_bulk_action_is_read_as_it_was_written(actions: BulkActions) -> None:
    filter_ = JobFilter(states=(JobState.DEAD,), kind=Kind.CROP, since_ms=1)
    action = await insert(actions, owner="ada", filter=filter_, task_ids=[], total=7)

    assert await actions.get(action.id, owner="ada") == action
    assert await actions.get(action.id, owner=None) == action


async def test_a_new_bulk_action_is_announced_in_its_process(actions: BulkActions) -> None:
    actions.has_new.clear()

    await insert(actions)

    assert actions.has_new.is_set()


async def test_a_lease_of_before_a_step_of_the_clock_has_ended(actions: BulkActions) -> None:
    action = await insert(actions, lease_ms=now_ms() + 3_600_000)
    await insert(actions, lease_ms=now_ms() + LEASE_MS)

    await actions.end_long_leases(longest_ms=2 * LEASE_MS)

    assert [each.id for each in await actions.find_free(limit=5)] == [action.id]


async def test_a_bulk_action_of_another_owner_is_not_found(actions: BulkActions) -> None:
    action = await insert(actions, owner="ada")

    with pytest.raises(BulkActionNotFound):
        await actions.get(action.id, owner="zoe")
    assert (await actions.page(owner="zoe", before_id=None, limit=5)).actions == []


async def test_pages_are_newest_first(actions: BulkActions) -> None:
    ids = [(await insert(actions)).id for _ in range(5)]

    first = await actions.page(owner=None, before_id=None, limit=3)
    second = await actions.page(owner=None, before_id=first.next_before_id, limit=3)

    assert [action.id for action in (*first.actions, *second.actions)] == ids[::-1]
    assert second.next_before_id is None


async def test_of_many_runners_one_takes_a_bulk_action(actions: BulkActions) -> None:
    action = await insert(actions)

    taken = await asyncio.gather(*(actions.acquire(action, str(each), lease_ms=LEASE_MS) for each in range(6)))

    (held,) = [each for each in taken if each]
    assert (held.state, held.version) == (BulkState.RUNNING, 1)
    assert await actions.find_free(limit=5) == []


async def test_progress_is_recorded_whole_and_gives_up_the_lease(actions: BulkActions) -> None:
    held = await actions.acquire(await insert(actions), "a", lease_ms=LEASE_MS)
    assert held is not None
    counts = BulkCounts(matched=3, done=1, failed={"source_gone": 2})

    await actions.record(held, {"cursor": "x", "counts": counts, "pending": ["y"]}, lease_ms=0)

    (free,) = await actions.find_free(limit=5)
    assert (free.cursor, free.counts, free.pending, free.lease_ms) == ("x", counts, ["y"], 0)


async def test_a_runner_whose_lease_has_ended_records_nothing_more(actions: BulkActions) -> None:
    late = await actions.acquire(await insert(actions), "late", lease_ms=-1)
    assert late is not None
    next_one = await actions.acquire(late, "next", lease_ms=LEASE_MS)

    assert await actions.record(late, {"cursor": "late"}, lease_ms=0) is None
    assert not await actions.finish(late)
    assert next_one is not None
    assert await actions.record(next_one, {"cursor": "next"}, lease_ms=LEASE_MS)
    assert (await actions.get(late.id, owner=None)).cursor == "next"


async def test_what_was_done_before_an_action_was_cancelled_is_counted(actions: BulkActions) -> None:
    held = await actions.acquire(await insert(actions), "a", lease_ms=LEASE_MS)
    assert held is not None

    assert await actions.cancel(held.id)
    assert await actions.record(held, {"counts": BulkCounts(done=2)}, lease_ms=0)

    assert not await actions.finish(held.model_copy(update={"version": held.version + 1}))
    found = await actions.get(held.id, owner=None)
    assert (found.state, found.counts.done) == (BulkState.CANCELLED, 2)
    assert not await actions.cancel(held.id)
    assert await actions.count_active(limit=5) == 0


async def test_active_actions_are_counted_by_owner(actions: BulkActions) -> None:
    for owner in ("ada", "ada", "zoe"):
        await insert(actions, owner=owner)

    counts = [await actions.count_active(owner=owner, limit=5) for owner in ("ada", "zoe", "eve", None)]

    assert counts == [2, 1, 0, 3]


async def test_only_those_that_ended_long_ago_are_forgotten(actions: BulkActions) -> None:
    old = await insert(actions, state=BulkState.DONE, finished_ms=10)
    recent = await insert(actions, state=BulkState.DONE, finished_ms=30)
    active = await insert(actions)

    assert await actions.delete_ended(before_ms=20, limit=5) == 1

    left = (await actions.page(owner=None, before_id=None, limit=5)).actions
    assert {action.id for action in left} == {recent.id, active.id}
    assert old.id not in {action.id for action in left}


def preset_job(name: str, version: str = "1", **fields: Any) -> Job:
    reference = PresetReference(name=name, version=version)
    return new_job(
        operation=Operation(renditions={"small": 160, "medium": 640, "large": 1600}, preset=reference), **fields
    )


JOBS: dict[str, Any] = {
    "dead": {"state": JobState.DEAD, "finished_ms": 1},
    "done": {"state": JobState.DONE, "finished_ms": 1},
    "crop": {"kind": Kind.CROP, "state": JobState.DONE, "finished_ms": 1},
}
FILTERS: list[tuple[JobFilter, set[str]]] = [
    (JobFilter(), {"dead", "done", "crop", "product", "product2", "default", "old"}),
    (JobFilter(states=(JobState.DEAD, JobState.CANCELLED)), {"dead"}),
    (JobFilter(kind=Kind.CROP), {"crop"}),
    (JobFilter(preset="product"), {"product", "product2"}),
    (JobFilter(preset="product", preset_version_not="1"), {"product2"}),
    (JobFilter(preset="default"), {"dead", "done", "default", "old"}),
    (JobFilter(preset="default", kind=Kind.CROP), set()),
    (JobFilter(is_outdated=True, kind=Kind.CROP), set()),
    (JobFilter(is_outdated=True), {"product", "dead", "done", "old"}),
    (JobFilter(until_ms=2_000), {"old"}),
    (JobFilter(since_ms=2_000, kind=Kind.CROP), {"crop"}),
    (JobFilter(since_ms=1_000, until_ms=1_001), {"old"}),
]


@pytest.mark.parametrize(("filter_", "names"), FILTERS, ids=lambda value: "" if isinstance(value, set) else str(value))
async def test_a_filter_finds_its_jobs(jobs: Jobs, filter_: JobFilter, names: set[str]) -> None:
    world = {name: new_job(**fields) for name, fields in JOBS.items()}
    world |= {"product": preset_job("product"), "product2": preset_job("product", "2")}
    world |= {"default": preset_job("default", "5"), "old": new_job(id=new_random_job_id(at_ms=1_000))}
    for job in world.values():
        await jobs.insert(job)
    versions = {"product": "2", "default": "5"}

    found, _ = await jobs.find_matching(
        filter_.build_query(), owner=None, after_id="", before_id=new_job_id(), limit=50
    )

    matching = {job.id for job in found if filter_.matches(job, versions)}
    assert {name for name, job in world.items() if job.id in matching} == names


async def test_batches_go_on_behind_each_other_and_stay_with_the_owner(jobs: Jobs) -> None:
    mine = sorted(new_random_job_id(at_ms=1_000 + each) for each in range(5))
    for job_id in mine:
        await jobs.insert(new_job(id=job_id, owner="ada"))
        await jobs.insert(new_job(owner="zoe"))

    seen: list[str] = []
    after_id: str | None = ""
    while after_id is not None:
        batch, after_id = await jobs.find_matching({}, owner="ada", after_id=after_id, before_id=mine[4], limit=2)
        seen += [job.id for job in batch]

    assert seen == mine[:4]
    assert await jobs.count_matching({}, owner="ada", before_id=mine[4]) == 4

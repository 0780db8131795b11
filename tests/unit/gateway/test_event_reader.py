"""The reader of events: each once and in order, also those that appear late, and none is lost by going on later."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.event_feed.reader import OVERLAP_MS, START_MARGIN_MS, EventReader, Position, ReadEvent, parse_position
from storage.clock import now_ms
from storage.documents import Job, JobState
from tests.support.fakes import FakeJobs, new_job
from tests.support.properties import EXAMPLES

LONG_AGO = Position(1_000_000)
TIMES = st.dictionaries(st.integers(1_002_000, 1_002_030), st.integers(1, 3), max_size=12)
"""Times, and how many events each has: fewer than a page."""


class RetriedMeanwhile(FakeJobs):
    """Jobs that are retried between the query that finds their ends and the one that reads them."""

    async def get_many(self, job_ids: Collection[str]) -> list[Job]:
        for job in await super().get_many(job_ids):
            await self.retry(job, next_dispatch_ms=1)
        return await super().get_many(job_ids)


async def end(jobs: FakeJobs, ms: int, **fields: Any) -> Job:
    values: dict[str, Any] = {"state": JobState.DONE, "finished_ms": ms}
    job = new_job(**values | fields)
    await jobs.insert(job)
    return job


async def read(reader: EventReader) -> list[ReadEvent]:
    return [found async for found in reader.read()]


async def ids(reader: EventReader) -> list[str]:
    return [found.job.id for found in await read(reader)]


async def test_events_come_in_the_order_in_which_they_happened(jobs: FakeJobs) -> None:
    late, early = await end(jobs, 1_003_000), await end(jobs, 1_002_000)
    expired = await end(jobs, 1_001_500, blobs_removed_ms=1_002_500)

    found = await read(EventReader(jobs, owner=None, start=LONG_AGO))

    assert [(each.job.id, each.event.type) for each in found] == [
        (expired.id, "job.done"),
        (early.id, "job.done"),
        (expired.id, "job.expired"),
        (late.id, "job.done"),
    ]


async def test_each_event_comes_once(jobs: FakeJobs) -> None:
    reader = EventReader(jobs, owner=None, start=LONG_AGO)
    first = await end(jobs, now_ms())

    assert await ids(reader) == [first.id]
    second = await end(jobs, now_ms())
    assert await ids(reader) == [second.id]
    assert await ids(reader) == []


async def test_an_end_of_before_a_step_of_the_clock_hides_no_later_one(jobs: FakeJobs) -> None:
    reader = EventReader(jobs, owner=None, start=LONG_AGO)
    ahead = await end(jobs, now_ms() + 3_600_000)

    assert await ids(reader) == [ahead.id]
    later = await end(jobs, now_ms())
    assert await ids(reader) == [later.id]
    assert await ids(reader) == []


async def test_a_job_that_appears_after_later_ones_is_read(jobs: FakeJobs) -> None:
    reader = EventReader(jobs, owner=None, start=LONG_AGO)
    now = now_ms()
    await end(jobs, now)
    await read(reader)

    late = await end(jobs, now - OVERLAP_MS + 2000)

    [found] = await read(reader)
    assert found.job.id == late.id
    assert found.position.ms >= now, "who goes on there has all others"


async def test_what_is_skipped_is_not_read(jobs: FakeJobs) -> None:
    await end(jobs, now_ms() - 10)
    reader = EventReader(jobs, owner=None)

    assert [await reader.skip(), await reader.skip()] == [True, False]
    job = await end(jobs, now_ms() - 10)
    assert await ids(reader) == [job.id]


async def test_who_goes_on_gets_what_happened_meanwhile_and_not_the_last_event(jobs: FakeJobs) -> None:
    now = now_ms()
    long_before, shortly_before, last, next_one = [
        await end(jobs, ms) for ms in (now - 5 * OVERLAP_MS, now - 2, now - 1, now)
    ]
    start = parse_position(f"{now - 1}.{last.id}-0-1-done")

    found = await ids(EventReader(jobs, owner=None, start=start))

    assert found == [shortly_before.id, next_one.id], "the one before comes again: it may have appeared later"
    assert long_before.id not in found


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.DEAD])
async def test_the_end_of_a_job_that_is_retried_is_no_event_any_more(state: JobState) -> None:
    jobs = RetriedMeanwhile()
    await end(jobs, 1_002_000, state=state)

    assert await read(EventReader(jobs, owner=None, start=LONG_AGO)) == []


async def test_only_wanted_types_are_read(jobs: FakeJobs) -> None:
    await end(jobs, 1_002_000)
    failed = await end(jobs, 1_003_000, state=JobState.FAILED)

    assert await ids(EventReader(jobs, owner=None, types=["job.failed"], start=LONG_AGO)) == [failed.id]


async def test_jobs_of_others_are_not_read(jobs: FakeJobs) -> None:
    mine = await end(jobs, 1_002_000, owner="ada")
    await end(jobs, 1_002_000, owner="zoe")
    await end(jobs, 1_002_000)

    assert await ids(EventReader(jobs, owner="ada", start=LONG_AGO)) == [mine.id]


@settings(EXAMPLES, max_examples=20)
@given(times=TIMES, expiries=TIMES, page_size=st.integers(4, 20), cut=st.integers(0, 60))
def test_pages_lose_nothing_and_neither_does_going_on_after_any_event(
    times: dict[int, int], expiries: dict[int, int], page_size: int, cut: int
) -> None:
    async def check() -> None:
        jobs = FakeJobs()
        for ms in Counter(times).elements():
            await end(jobs, ms)
        for ms in Counter(expiries).elements():
            await end(jobs, 1, blobs_removed_ms=ms)
        whole = await read(EventReader(jobs, owner=None, start=LONG_AGO))
        paged = await read(EventReader(jobs, owner=None, start=LONG_AGO, page_size=page_size))
        assert [str(each.position) for each in paged] == [str(each.position) for each in whole]
        assert len(whole) == sum(times.values()) + sum(expiries.values())
        assert all(one.event.ms <= other.event.ms for one, other in pairwise(whole))
        assert len({each.position for each in whole}) == len(whole)

        start = parse_position(str(whole[min(cut, len(whole) - 1)].position)) if whole else None
        rest = await read(EventReader(jobs, owner=None, start=start or LONG_AGO, page_size=page_size))
        assert {each.position for each in whole[cut + 1 :]} <= {each.position for each in rest}

    asyncio.run(check())


@pytest.mark.parametrize(
    "text", ["", "1", ".", "x.y", "-1.a", "1.a b", "1.a/b", "²." + "a", "1" * 16 + ".", "1." + "a" * 129]
)
def test_what_no_event_had_as_its_id_is_no_position(text: str) -> None:
    assert parse_position(text) is None


async def test_who_goes_on_shortly_after_the_start_gets_nothing_from_before_it(jobs: FakeJobs) -> None:
    now = now_ms()
    await end(jobs, now - START_MARGIN_MS - 500)
    reader = EventReader(jobs, owner=None)
    await reader.skip()
    later = await end(jobs, now_ms())

    start = parse_position(str(reader.position))

    assert await ids(EventReader(jobs, owner=None, start=start)) == [later.id]


@pytest.mark.parametrize("start_ms", [0, 1_000, 999_999_000])
def test_a_position_is_read_as_it_was_written(start_ms: int) -> None:
    position = Position(1_000_000_000, "a-job-0-1-done", start_ms)

    again = parse_position(str(position))

    assert again is not None
    assert (again.ms, again.event_id, again.since_ms) == (position.ms, position.event_id, position.since_ms)


def test_a_position_in_the_future_is_now() -> None:
    position = parse_position("999999999999999.a")

    assert position is not None
    assert position.ms <= now_ms()

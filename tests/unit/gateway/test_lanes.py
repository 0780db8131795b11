"""Which lane a new job takes."""

from __future__ import annotations

import pytest

from gateway.submission.lanes import UNFINISHED_SECONDS, LaneChooser
from pipeline.http_settings import LanesSettings
from storage.documents import Lane

BURST, HEAVY = 6, 1000


class Clock:
    """A clock that is set by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lanes(clock: Clock) -> LaneChooser:
    return LaneChooser(LanesSettings(burst=f"{BURST}/minute", heavy_bytes=HEAVY), clock=clock)


async def test_a_few_go_ahead_and_the_rest_of_a_burst_waits(lanes: LaneChooser) -> None:
    chosen = [await lanes.choose("ann", str(number), size=1) for number in range(BURST + 2)]

    assert chosen == [Lane.EXPRESS] * BURST + [Lane.BULK] * 2


async def test_a_caller_that_waits_for_each_of_its_jobs_is_no_burst(lanes: LaneChooser) -> None:
    for number in range(3 * BURST):
        assert await lanes.choose("ann", str(number), size=1) is Lane.EXPRESS
        lanes.forget(str(number))


async def test_a_job_whose_end_is_not_notified_counts_for_a_while_only(lanes: LaneChooser, clock: Clock) -> None:
    for number in range(BURST):
        await lanes.choose("ann", str(number), size=1)
    assert await lanes.choose("ann", "next", size=1) is Lane.BULK

    clock.seconds = UNFINISHED_SECONDS

    assert await lanes.choose("ann", "later", size=1) is Lane.EXPRESS


async def test_ends_of_jobs_of_other_gateways_count_nothing(lanes: LaneChooser) -> None:
    for number in range(BURST):
        await lanes.choose("ann", str(number), size=1)
        lanes.forget(f"elsewhere-{number}")

    assert await lanes.choose("ann", "next", size=1) is Lane.BULK


async def test_a_burst_is_nobody_elses(lanes: LaneChooser) -> None:
    for number in range(10):
        await lanes.choose("ann", str(number), size=1)

    assert await lanes.choose("bob", "another", size=1) is Lane.EXPRESS


@pytest.mark.parametrize(("size", "lane"), [(HEAVY - 1, Lane.EXPRESS), (HEAVY, Lane.BULK)])
async def test_a_heavy_file_is_bulk(lanes: LaneChooser, size: int, lane: Lane) -> None:
    assert await lanes.choose("ann", "1", size=size) is lane

"""Which lane a new job takes."""

from __future__ import annotations

import pytest

from gateway.submission.lanes import LaneChooser
from pipeline.http_settings import LanesSettings
from storage.documents import Lane

HEAVY = 1000


@pytest.fixture
def lanes() -> LaneChooser:
    return LaneChooser(LanesSettings(burst="3/minute", heavy_bytes=HEAVY))


async def test_a_few_go_ahead_and_the_rest_of_a_burst_waits(lanes: LaneChooser) -> None:
    chosen = [await lanes.choose("ann", size=1) for _ in range(5)]

    assert chosen == [Lane.EXPRESS] * 3 + [Lane.BULK] * 2


async def test_a_burst_is_nobody_elses(lanes: LaneChooser) -> None:
    for _ in range(10):
        await lanes.choose("ann", size=1)

    assert await lanes.choose("bob", size=1) is Lane.EXPRESS


@pytest.mark.parametrize(("size", "lane"), [(HEAVY - 1, Lane.EXPRESS), (HEAVY, Lane.BULK)])
async def test_a_heavy_file_is_bulk(lanes: LaneChooser, size: int, lane: Lane) -> None:
    assert await lanes.choose("ann", size=size) is lane

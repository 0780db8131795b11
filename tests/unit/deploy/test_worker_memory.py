"""The memory of a worker follows from the limits on what it may be given."""

from __future__ import annotations

import pytest

from deploy.generate.worker_memory import CHILD_MIB, PARENT_MIB, allowed_mib, child_mib, image_mib
from pipeline.routing import OUTBOUND_QUEUES, RESIZE
from pipeline.settings import Settings
from stages.limits import Limits

LIMITS = Limits(animation_pixels=1)


def test_a_rendition_of_a_file_of_presets_may_be_as_large_as_an_image() -> None:
    without = image_mib(RESIZE, Settings(limits=LIMITS, presets=""))

    assert image_mib(RESIZE, Settings(limits=LIMITS, presets="presets.toml")) > without


@pytest.mark.parametrize("queue", OUTBOUND_QUEUES)
def test_a_pool_that_decodes_nothing_needs_the_same_for_every_image(queue: str) -> None:
    larger = Settings(limits=Limits(pixels=10**9), work={"max_image_memory_mib": 10**5})

    assert child_mib(queue, larger) == child_mib(queue, Settings()) < image_mib(RESIZE, Settings())


def test_what_children_may_take_fits_into_their_container() -> None:
    allowed = allowed_mib(1000, 4)

    assert allowed > 0
    assert PARENT_MIB + 4 * (CHILD_MIB + allowed) <= 1000
    assert allowed_mib(64, 1) == 0

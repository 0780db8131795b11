"""Faults of clocks: a worker whose time is not that of the others."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.tools.chaos.scene import FaultEffect, Scene
from tests.tools.chaos.stack import SKEWS
from tests.tools.chaos.timing import LEASE_SECONDS, VISIBILITY_SECONDS
from tests.tools.chaos.witness import STAGES

SKEWED_SECONDS = VISIBILITY_SECONDS + LEASE_SECONDS


def clock_skewed(scene: Scene) -> Iterator[FaultEffect]:
    """Restart a worker with its clock two minutes ahead or behind for a while, beside one of the same pool without."""
    pool, (side, seconds) = scene.pick_pool(), scene.random.choice(list(SKEWS.items()))
    with scene.stack.run_spare_worker(pool), scene.stack.run_worker(f"{side}-{pool}"):
        scene.stack.stop_process(pool)
        try:
            yield FaultEffect(f"{pool}, {seconds:+d} s", STAGES[pool])
            time.sleep(SKEWED_SECONDS)
        finally:
            scene.stack.start_process(pool)

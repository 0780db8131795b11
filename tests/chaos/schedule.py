"""The schedule: one fault at a time, everything up again, a random gap, the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from storage.clock import now_ms
from tests.chaos.catalogue import FAULTS
from tests.chaos.clock import READY_SECONDS
from tests.chaos.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Strike:
    """One fault as it happened; times in epoch ms. `mended_ms` is when all processes did their work again."""

    fault: str
    detail: str
    stages: tuple[str, ...]
    struck_ms: int
    mended_ms: int


def strike_all(
    scene: Scene,
    names: Iterable[str],
    *,
    gap: tuple[float, float],
    deadline: float,
    told: Callable[[Strike], None],
) -> list[Strike]:
    """Strike one fault after another until they or the time (monotonic) end; what struck nothing is not counted."""
    strikes = []
    for name in names:
        time.sleep(scene.seconds(*gap))
        if time.monotonic() > deadline:
            break
        strike = _strike(scene, name)
        if strike is not None:
            strikes.append(strike)
            told(strike)
    return strikes


def _strike(scene: Scene, name: str) -> Strike | None:
    course = FAULTS[name](scene)
    blow = next(course, None)
    struck_ms = now_ms()
    for _ in course:
        pass
    if blow is None:
        return None
    scene.stack.wait_all_ready(READY_SECONDS)
    return Strike(fault=name, detail=blow.detail, stages=blow.stages, struck_ms=struck_ms, mended_ms=now_ms())

"""The schedule: one fault at a time, everything up again, a random gap, the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from storage.clock import now_ms
from tests.tools.chaos.faults import FAULTS
from tests.tools.chaos.scene import Scene
from tests.tools.chaos.timing import READY_SECONDS


@dataclass(frozen=True, kw_only=True)
class Injection:
    """One fault as it happened; times in epoch ms. `recovered_ms` is when all processes did their work again."""

    fault: str
    detail: str
    stages: tuple[str, ...]
    injected_ms: int
    recovered_ms: int


def inject_faults(
    scene: Scene,
    names: Iterable[str],
    *,
    gap_seconds: tuple[float, float],
    deadline: float,
    on_injected: Callable[[Injection], None],
) -> list[Injection]:
    """Strike one fault after another until they or the time (monotonic) end; what struck nothing is not counted."""
    injections = []
    for name in names:
        time.sleep(scene.pick_seconds(*gap_seconds))
        if time.monotonic() > deadline:
            break
        injection = _inject_fault(scene, name)
        if injection is not None:
            injections.append(injection)
            on_injected(injection)
    return injections


def _inject_fault(scene: Scene, name: str) -> Injection | None:
    course = FAULTS[name](scene)
    effect = next(course, None)
    injected_ms = now_ms()
    for _ in course:
        pass
    if effect is None:
        return None
    scene.stack.wait_all_ready(READY_SECONDS)
    return Injection(
        fault=name, detail=effect.detail, stages=effect.stages, injected_ms=injected_ms, recovered_ms=now_ms()
    )

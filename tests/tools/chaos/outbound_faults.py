"""Faults of the worker that sends events and fetches images, while an endpoint waits for the end of a request."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

from storage.clock import now_ms
from tests.tools.chaos.scene import FaultEffect, Scene
from tests.tools.chaos.stack import OUTBOUND
from tests.tools.chaos.timing import LEASE_SECONDS
from tests.tools.chaos.witness import STAGES, wait_for

CATCH_SECONDS = 5.0
LONGEST_LEASE_SECONDS = 40.0  # of an endpoint, and until another run has taken it
COME_BACK_SECONDS = 3.0


def outbound_killed(scene: Scene) -> Iterator[FaultEffect]:
    """SIGKILL the outbound worker's parent and its children while one of them sends an event."""
    sending = _wait_for_sending(scene)
    children = scene.stack.children(OUTBOUND)
    scene.stack.signal(OUTBOUND, signal.SIGKILL)
    scene.stack.send(children, signal.SIGKILL)
    yield FaultEffect(sending, STAGES[OUTBOUND])


def outbound_child_killed(scene: Scene) -> Iterator[FaultEffect]:
    """SIGKILL all children of the outbound worker while one of them sends an event; its parent replaces them."""
    sending = _wait_for_sending(scene)
    scene.stack.send(scene.stack.children(OUTBOUND), signal.SIGKILL)
    yield FaultEffect(sending, STAGES[OUTBOUND])


def outbound_frozen(scene: Scene) -> Iterator[FaultEffect]:
    """SIGSTOP the outbound worker's children in the middle of a request, until past the leases of its stages."""
    sending = _wait_for_sending(scene)
    children = scene.stack.children(OUTBOUND)
    scene.stack.send(children, signal.SIGSTOP)
    try:
        yield FaultEffect(sending, STAGES[OUTBOUND])
        time.sleep(LEASE_SECONDS + 1)
    finally:
        scene.stack.send(children, signal.SIGCONT)


def outbound_zombie(scene: Scene) -> Iterator[FaultEffect]:
    """SIGSTOP the whole outbound worker while it sends, have a spare take over its endpoints, then let it go on."""
    sending = _wait_for_sending(scene)
    children = scene.stack.children(OUTBOUND)
    holders = {endpoint.id: endpoint.holder for endpoint in scene.witness.endpoints() if endpoint.lease_ms > now_ms()}
    scene.stack.signal(OUTBOUND, signal.SIGSTOP)
    scene.stack.send(children, signal.SIGSTOP)

    def is_superseded() -> bool:
        return all(each.holder != holders[each.id] for each in scene.witness.endpoints() if each.id in holders)

    try:
        yield FaultEffect(f"{sending}, {len(holders)} endpoints held", STAGES[OUTBOUND])
        with scene.stack.run_spare_worker(OUTBOUND):
            wait_for(is_superseded, LONGEST_LEASE_SECONDS)
            scene.stack.send(children, signal.SIGCONT)  # before their parent, which would kill them for being late
            time.sleep(COME_BACK_SECONDS)
    finally:
        scene.stack.send(children, signal.SIGCONT)
        scene.stack.signal(OUTBOUND, signal.SIGCONT)


def _wait_for_sending(scene: Scene) -> str:
    """Wait until an endpoint has a request that it has not answered; return its name, or that there is none."""
    wait_for(lambda: bool(_find_sending(scene)), CATCH_SECONDS, look=0.002)
    return _find_sending(scene) or "idle"


def _find_sending(scene: Scene) -> str:
    return ", ".join(sorted(name for name, count in dict(scene.events.under_way).items() if count))

"""Faults of workers: their children and parents killed, stopped past their lease, and come back from the dead."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

from tests.chaos.clock import LEASE_SECONDS, VISIBILITY_SECONDS
from tests.chaos.leftovers import PARTIAL
from tests.chaos.scene import Blow, Scene
from tests.chaos.witness import STAGES, Catch, wait_for

OVERDUE = LEASE_SECONDS + 1
UNSEEN = VISIBILITY_SECONDS + 2  # restores are looked for every second
FINISH_SECONDS = 5.0
HUNT_SECONDS = 10.0
COME_BACK_SECONDS = 2.0
WRITERS = {"master": "normalize", "small": "resize", "medium": "resize", "large": "resize", "output": "transform"}


def child_killed(scene: Scene) -> Iterator[Blow]:
    """SIGKILL a worker's child, in the middle of a stage where one can be caught."""
    if catch := scene.catch():
        scene.stack.send(catch.pids, signal.SIGKILL)
        yield Blow(f"{catch.stage}, at work", STAGES[catch.pool])
    else:
        pool = scene.pool()
        scene.stack.send(scene.stack.children(pool)[:1], signal.SIGKILL)
        yield Blow(f"{pool}, idle", STAGES[pool])


def worker_killed(scene: Scene) -> Iterator[Blow]:
    """SIGKILL a worker's parent and its children."""
    pool = scene.pool()
    children = scene.stack.children(pool)
    scene.stack.signal(pool, signal.SIGKILL)
    scene.stack.send(children, signal.SIGKILL)
    yield Blow(pool, STAGES[pool])


def write_cut(scene: Scene) -> Iterator[Blow]:
    """SIGKILL a worker's children in the middle of writing a blob."""
    deadline = time.monotonic() + HUNT_SECONDS
    while time.monotonic() < deadline:
        for job_id in scene.witness.active_ids():
            for partial in (scene.stack.blob_folder / job_id).glob(f"*{PARTIAL}*"):
                if pool := WRITERS.get(partial.name.partition(".")[0]):
                    scene.stack.send(scene.stack.children(pool), signal.SIGKILL)
                    yield Blow(partial.name, STAGES[pool])
                    return


def child_frozen(scene: Scene) -> Iterator[Blow]:
    """SIGSTOP a worker's children in the middle of a stage, until past its lease and its time limit."""
    catch = scene.catch()
    if catch is None:
        return
    try:
        yield Blow(catch.stage, STAGES[catch.pool])
        time.sleep(OVERDUE)
    finally:
        scene.stack.send(catch.pids, signal.SIGCONT)


def worker_frozen(scene: Scene) -> Iterator[Blow]:
    """SIGSTOP a worker's parent for longer than a lease, then let it go on."""
    pool = scene.pool()
    scene.stack.signal(pool, signal.SIGSTOP)
    try:
        yield Blow(pool, STAGES[pool])
        time.sleep(OVERDUE)
    finally:
        scene.stack.signal(pool, signal.SIGCONT)


def worker_silent(scene: Scene) -> Iterator[Blow]:
    """SIGSTOP a worker's parent until its messages are given to others, then SIGKILL it: it never acknowledges."""
    pool = scene.pool()
    children = scene.stack.children(pool)
    scene.stack.signal(pool, signal.SIGSTOP)
    try:
        yield Blow(pool, STAGES[pool])
        time.sleep(UNSEEN)
    finally:
        scene.stack.signal(pool, signal.SIGKILL)
        scene.stack.send(children, signal.SIGKILL)


def zombie(scene: Scene) -> Iterator[Blow]:
    """SIGSTOP a worker in the middle of a stage, have a spare take its work over, and let the first run go on."""
    yield from _come_back(scene, scene.catch())


def zombie_finalize(scene: Scene) -> Iterator[Blow]:
    """Do the same to finalize, where a job's effect happens."""
    yield from _come_back(scene, scene.witness.catch(scene.stack, ["finalize"], HUNT_SECONDS))


def _come_back(scene: Scene, catch: Catch | None) -> Iterator[Blow]:
    if catch is None:
        return
    late = scene.random.random() < 0.5
    scene.stack.signal(catch.pool, signal.SIGSTOP)
    try:
        moment = "after the end of its job" if late else "beside its successor"
        yield Blow(f"{catch.stage}, back {moment}", STAGES[catch.pool])
        with scene.stack.spare(catch.pool):
            wait_for(lambda: scene.witness.is_superseded(catch), UNSEEN + LEASE_SECONDS, look=0.01)
            if late:
                wait_for(lambda: scene.witness.has_ended(catch.job_id), FINISH_SECONDS)
            scene.stack.send(catch.pids, signal.SIGCONT)  # before its parent, which would kill it for being late
            time.sleep(COME_BACK_SECONDS)
    finally:
        scene.stack.send(catch.pids, signal.SIGCONT)
        scene.stack.signal(catch.pool, signal.SIGCONT)

"""Faults of workers: their children and parents killed, stopped past their lease, and come back from the dead."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

from pipeline.watchdog import EXIT_GRACE_SECONDS
from tests.tools.chaos.leftovers import PARTIAL_WRITE_MARK
from tests.tools.chaos.scene import FaultEffect, Scene
from tests.tools.chaos.timing import LEASE_SECONDS, VISIBILITY_SECONDS
from tests.tools.chaos.witness import STAGES, SuspendedRun, wait_for

PAST_LEASE_SECONDS = LEASE_SECONDS + 1
PAST_VISIBILITY_SECONDS = VISIBILITY_SECONDS + 2  # restores are looked for every second
FINISH_SECONDS = 5.0
STALL_SECONDS = LEASE_SECONDS + EXIT_GRACE_SECONDS + 5  # until the watchdog ends a worker, once it has a message
HUNT_SECONDS = 10.0
COME_BACK_SECONDS = 2.0
WRITERS = {"original": "outbound", "master": "normalize", "output": "transform"}
WRITERS |= dict.fromkeys(("small", "medium", "large"), "resize")


def child_killed(scene: Scene) -> Iterator[FaultEffect]:
    """SIGKILL a worker's child, in the middle of a stage where one can be caught."""
    if suspended_run := scene.suspend_run():
        scene.stack.send(suspended_run.pids, signal.SIGKILL)
        yield FaultEffect(f"{suspended_run.stage}, at work", STAGES[suspended_run.pool])
    else:
        pool = scene.pick_pool()
        scene.stack.send(scene.stack.children(pool)[:1], signal.SIGKILL)
        yield FaultEffect(f"{pool}, idle", STAGES[pool])


def worker_killed(scene: Scene) -> Iterator[FaultEffect]:
    """SIGKILL a worker's parent and its children."""
    pool = scene.pick_pool()
    children = scene.stack.children(pool)
    scene.stack.signal(pool, signal.SIGKILL)
    scene.stack.send(children, signal.SIGKILL)
    yield FaultEffect(pool, STAGES[pool])


def write_cut(scene: Scene) -> Iterator[FaultEffect]:
    """SIGKILL a worker's children in the middle of writing a blob."""
    deadline = time.monotonic() + HUNT_SECONDS
    while time.monotonic() < deadline:
        for job_id in scene.witness.active_ids():
            for partial in (scene.stack.blob_folder / job_id).glob(f"*{PARTIAL_WRITE_MARK}*"):
                if pool := WRITERS.get(partial.name.partition(".")[0]):
                    workers = [worker for worker, queue in scene.stack.workers.items() if queue == pool]
                    scene.stack.send(
                        [pid for worker in workers for pid in scene.stack.children(worker)], signal.SIGKILL
                    )
                    yield FaultEffect(partial.name, STAGES[pool])
                    return


def child_frozen(scene: Scene) -> Iterator[FaultEffect]:
    """SIGSTOP a worker's children in the middle of a stage, until past its lease and its time limit."""
    suspended_run = scene.suspend_run()
    if suspended_run is None:
        return
    try:
        yield FaultEffect(suspended_run.stage, STAGES[suspended_run.pool])
        time.sleep(PAST_LEASE_SECONDS)
    finally:
        scene.stack.send(suspended_run.pids, signal.SIGCONT)


def worker_stalled(scene: Scene) -> Iterator[FaultEffect]:
    """SIGSTOP a worker's idle children: only its watchdog notices the message that they do not take."""
    pool = scene.pick_pool()
    parent, children = scene.stack.pid(pool), scene.stack.children(pool)
    scene.stack.send(children, signal.SIGSTOP)
    try:
        yield FaultEffect(pool, STAGES[pool])
        wait_for(lambda: scene.stack.pid(pool) != parent, STALL_SECONDS)
    finally:
        scene.stack.send(children, signal.SIGCONT)


def worker_frozen(scene: Scene) -> Iterator[FaultEffect]:
    """SIGSTOP a worker's parent for longer than a lease, then let it go on."""
    pool = scene.pick_pool()
    scene.stack.signal(pool, signal.SIGSTOP)
    try:
        yield FaultEffect(pool, STAGES[pool])
        time.sleep(PAST_LEASE_SECONDS)
    finally:
        scene.stack.signal(pool, signal.SIGCONT)


def worker_silent(scene: Scene) -> Iterator[FaultEffect]:
    """SIGSTOP a worker's parent until its messages are given to others, then SIGKILL it: it never acknowledges."""
    pool = scene.pick_pool()
    children = scene.stack.children(pool)
    scene.stack.signal(pool, signal.SIGSTOP)
    try:
        yield FaultEffect(pool, STAGES[pool])
        time.sleep(PAST_VISIBILITY_SECONDS)
    finally:
        scene.stack.signal(pool, signal.SIGKILL)
        scene.stack.send(children, signal.SIGKILL)


def zombie(scene: Scene) -> Iterator[FaultEffect]:
    """SIGSTOP a worker in the middle of a stage, have a spare take its work over, and let the first run go on."""
    yield from _resume_after_takeover(scene, scene.suspend_run())


def zombie_finalize(scene: Scene) -> Iterator[FaultEffect]:
    """Do the same to finalize, where a job's effect happens."""
    yield from _resume_after_takeover(scene, scene.witness.suspend_run(scene.stack, ["finalize"], HUNT_SECONDS))


def _resume_after_takeover(scene: Scene, suspended_run: SuspendedRun | None) -> Iterator[FaultEffect]:
    if suspended_run is None:
        return
    late = scene.random.random() < 0.5
    scene.stack.signal(suspended_run.worker, signal.SIGSTOP)
    try:
        moment = "after the end of its job" if late else "beside its successor"
        yield FaultEffect(f"{suspended_run.stage}, back {moment}", STAGES[suspended_run.pool])
        with scene.stack.run_spare_worker(suspended_run.pool):
            wait_for(
                lambda: scene.witness.is_superseded(suspended_run), PAST_VISIBILITY_SECONDS + LEASE_SECONDS, look=0.01
            )
            if late:
                wait_for(lambda: scene.witness.has_ended(suspended_run.job_id), FINISH_SECONDS)
            scene.stack.send(
                suspended_run.pids, signal.SIGCONT
            )  # before its parent, which would kill it for being late
            time.sleep(COME_BACK_SECONDS)
    finally:
        scene.stack.send(suspended_run.pids, signal.SIGCONT)
        scene.stack.signal(suspended_run.worker, signal.SIGCONT)

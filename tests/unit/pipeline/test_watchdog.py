"""The watchdog: it ends a process that does not end by itself, and hinders none that does."""

from __future__ import annotations

import os
import subprocess
import sys

from celery.worker import WorkController

from pipeline.celery import app
from pipeline.watchdog import Watchdog

STOPS = """
import threading, time
from types import SimpleNamespace
from pipeline import watchdog

watchdog.EXIT_GRACE_SECONDS = {grace}
conf = SimpleNamespace(task_time_limit=0.0, worker_soft_shutdown_timeout=0.0)
watchdog.Watchdog(None).close(SimpleNamespace(app=SimpleNamespace(conf=conf)))
time.sleep({seconds})
"""


def stopping(*, grace: float, seconds: float) -> subprocess.CompletedProcess[str]:
    """Begin to stop, and take so many seconds over it."""
    code = STOPS.format(grace=grace, seconds=seconds)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_a_worker_that_does_not_end_is_ended() -> None:
    ended = stopping(grace=0.1, seconds=3600)

    assert ended.returncode == os.EX_SOFTWARE
    assert "worker.hung" in ended.stdout + ended.stderr


def test_a_worker_that_ends_is_let_end() -> None:
    assert stopping(grace=3600, seconds=0).returncode == 0


def test_a_worker_takes_the_watchdog_in_before_its_endless_loop() -> None:
    app.steps["worker"].add(Watchdog)
    blueprint = WorkController.Blueprint(steps=app.steps["worker"])
    blueprint.steps = dict(blueprint.claim_steps())

    order = [step.name for step in blueprint._finalize_steps(blueprint.steps)]  # type: ignore[attr-defined]

    assert order.index("pipeline.watchdog.Watchdog") < order.index("celery.worker.components.Consumer")

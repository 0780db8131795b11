"""The watchdog: it ends a process that stalls or does not end by itself, and hinders no other."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
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

WORKS = """
import time
from types import SimpleNamespace
from celery.bootsteps import RUN
from celery.worker import state
from pipeline import watchdog

class Request:
    pass

watchdog.EXIT_GRACE_SECONDS = watchdog.LOOK_SECONDS = 0.05
request = Request()
if {is_active}:
    state.active_requests.add(request)
held = {{"tag": SimpleNamespace(headers={{"id": "a-message"}})}}
qos = SimpleNamespace(can_consume=lambda: {can_consume}, _delivered=held, _dirty=set())
consumer = SimpleNamespace(
    blueprint=SimpleNamespace(state=RUN),
    connection={is_connected},
    task_consumer=SimpleNamespace(channel=SimpleNamespace(qos=qos)),
)
conf = SimpleNamespace(task_time_limit=0.0)
parent = SimpleNamespace(app=SimpleNamespace(conf=conf), consumer=consumer, pool=None)
watchdog.Watchdog(parent).start(parent)
time.sleep({seconds})
"""


def working(
    *, seconds: float, can_consume: bool = False, is_active: bool = False, is_connected: bool = True
) -> subprocess.CompletedProcess[str]:
    """Be a worker for so many seconds: whether it may take messages, works on one, and has a broker."""
    code = WORKS.format(seconds=seconds, can_consume=can_consume, is_active=is_active, is_connected=is_connected)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_a_worker_that_holds_messages_and_works_on_none_is_ended() -> None:
    ended = working(seconds=3600)

    assert ended.returncode == os.EX_SOFTWARE
    assert "worker.stalled" in ended.stdout + ended.stderr
    assert "a-message" in ended.stdout + ended.stderr


@pytest.mark.parametrize("otherwise", [{"can_consume": True}, {"is_active": True}, {"is_connected": False}])
def test_a_worker_that_works_or_waits_is_let_be(otherwise: dict[str, bool]) -> None:
    assert working(seconds=0.5, **otherwise).returncode == 0


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

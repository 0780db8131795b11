"""The soft time limit: it ends a stage's run, and never the report of how one ended.

A child reports to its worker's parent over a pipe that holds 64 KiB, and billiard raises the limit's error wherever the
child is. In the middle of a report it leaves the parent a message cut short, which ends the worker. So the limit is
heard while a stage runs and at no other time, and reports are kept so small that no child waits to write one.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import SoftTimeLimitExceeded
from billiard.pool import SIG_SOFT_TIMEOUT
from celery import Task
from celery.signals import task_failure, task_retry

_interruptible: list[bool] = []


@contextmanager
def enforce_soft_time_limit() -> Iterator[None]:
    """Let the soft time limit end this block by a `SoftTimeLimitExceeded`; it does nothing outside of one.

    For the main thread of a child, as signals are.
    """
    signal.signal(SIG_SOFT_TIMEOUT, _interrupt)
    _interruptible.append(True)
    try:
        yield
    finally:
        _interruptible.clear()


def _interrupt(*_: object) -> None:
    if _interruptible:
        _interruptible.clear()
        raise SoftTimeLimitExceeded


@task_retry.connect
def _drop_retry_frames(einfo: ExceptionInfo, **_: object) -> None:
    """Drop the traceback's frames, 60 KB of positions in code that nobody reads. Its text stays."""
    einfo.tb = None


@task_failure.connect
def _drop_refusal_frames(sender: Task[Any, Any], exception: Exception, einfo: ExceptionInfo, **_: object) -> None:
    """Drop them of a refusal; Celery logs every other failure by them."""
    if isinstance(exception, sender.throws):
        einfo.tb = None

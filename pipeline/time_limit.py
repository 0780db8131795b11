"""The soft time limit: it interrupts a stage run, but never the report of its outcome.

A child reports to its worker's parent over a pipe that holds 64 KiB. billiard raises the limit's error wherever
the child is. During a report, this would leave a truncated message in the pipe, which ends the worker. So the limit is
enforced only while a stage runs, and reports are kept small enough that no child waits to write one.
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
_listening: list[bool] = []


@contextmanager
def enforce_soft_time_limit() -> Iterator[None]:
    """Raise `SoftTimeLimitExceeded` in this block at the soft time limit; outside such a block, ignore the limit.

    Only for the main thread of a child, which receives the signals.
    """
    if not _listening:  # once, at the first run: billiard sets its own handler after a child has started
        signal.signal(SIG_SOFT_TIMEOUT, _interrupt)
        _listening.append(True)
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
    """Drop the traceback's frames: 60 KB of code positions that nothing reads. Its text stays."""
    einfo.tb = None


@task_failure.connect
def _drop_refusal_frames(sender: Task[Any, Any], exception: Exception, einfo: ExceptionInfo, **_: object) -> None:
    """Drop the traceback's frames of a refusal. Celery needs those of other failures for its log."""
    if isinstance(exception, sender.throws):
        einfo.tb = None

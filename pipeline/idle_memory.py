"""A worker child that waits returns the memory that images left free in its heap.

Workers keep freed memory for the next image, which then needs no new pages: MALLOC_TRIM_THRESHOLD_. Without this module
they would keep it also when no image comes.
"""

from __future__ import annotations

import ctypes
import signal

IDLE_SECONDS = 2.0  # the next image then needs some ms more, for new pages

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
_handlers: list[bool] = []
_working: list[bool] = []


def return_free_memory() -> None:
    """Return all free pages of the heap to the system, malloc_trim(3)."""
    if _trim is not None:
        _trim(0)


def return_memory_when_idle() -> None:
    """From now on, return free memory IDLE_SECONDS after `end_work`. Only for the main thread of a worker child."""
    if _trim is not None:
        signal.signal(signal.SIGALRM, _on_idle)
        _handlers.append(True)


def begin_work() -> None:
    """Keep the memory until `end_work`."""
    _working.append(True)


def end_work() -> None:
    """Start to measure how long this child is idle."""
    _working.clear()
    if _handlers:
        signal.setitimer(signal.ITIMER_REAL, IDLE_SECONDS)


def _on_idle(*_: object) -> None:
    if not _working:  # else `end_work` starts to measure again
        return_free_memory()

"""Shifts this process's wall clock by DARKROOM_TEST_CLOCK_SKEW_SECONDS, for a process with this folder in PYTHONPATH.

Python reads the time through three functions and two methods; all of them are shifted, in code written in C too, as far
as it calls them. The monotonic clock is not shifted, and neither is what a library reads from the system itself.
"""

import ctypes
import gc
import os
import time
from datetime import datetime, timedelta, tzinfo
from typing import Any

SKEW_SECONDS = float(os.environ.get("DARKROOM_TEST_CLOCK_SKEW_SECONDS") or 0)
SKEW = timedelta(seconds=SKEW_SECONDS)


def _shift_time() -> None:
    read, read_ns = time.time, time.time_ns
    time.time = lambda: read() + SKEW_SECONDS
    time.time_ns = lambda: read_ns() + int(SKEW_SECONDS * 1_000_000_000)


def _shift_datetime() -> None:
    """Change the class itself, which is immutable to Python: a subclass would not be what annotations and bson mean."""
    read_now, read_utcnow = datetime.now, datetime.utcnow

    def now(_: type[datetime], tz: tzinfo | None = None) -> datetime:
        return read_now(tz) + SKEW

    def utcnow(_: type[datetime]) -> datetime:
        return read_utcnow() + SKEW

    attributes: dict[str, Any] = gc.get_referents(datetime.__dict__)[0]
    attributes |= {"now": classmethod(now), "utcnow": classmethod(utcnow)}
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))


if SKEW_SECONDS:
    _shift_time()
    _shift_datetime()

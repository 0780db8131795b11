"""The one clock of the job document: whole milliseconds since the epoch."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Return the wall-clock time in epoch milliseconds, the unit of every `*_ms` field."""
    return time.time_ns() // 1_000_000

"""When a delivery that has failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

MS = 1000
MAX_RETRY_AFTER_MS = 86_400 * MS
JITTER = 0.1
"""A wait is up to this share longer: deliveries that failed together are not tried together."""
MAX_DIGITS = 10


def next_wait_ms(
    tries: int, waits: Sequence[float], *, retry_after_ms: int = 0, draw: Callable[[], float] = random.random
) -> int | None:
    """Return the wait after this number of tries; None after the last one.

    `waits` are the seconds between the tries. `retry_after_ms` is what the endpoint asks for: it counts if it is
    longer. `draw` returns a number from 0 to 1.
    """
    if tries > len(waits):
        return None
    wait_ms = waits[tries - 1] * MS * (1 + JITTER * draw())
    return int(max(wait_ms, retry_after_ms))


def parse_retry_after(value: str | None, *, now_ms: int) -> int:
    """Return the wait that a `Retry-After` asks for, in ms, at most a day; 0 if there is none, or none that is valid.

    It is a number of seconds or a date (RFC 9110, section 10.2.3).
    """
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return min(int(text[:MAX_DIGITS]) * MS, MAX_RETRY_AFTER_MS)
    try:
        date = parsedate_to_datetime(text)
        ms = int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * MS)
    except (ValueError, OverflowError, TypeError):
        return 0
    return min(max(ms - now_ms, 0), MAX_RETRY_AFTER_MS)

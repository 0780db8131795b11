"""How fast bulk actions go: a bounded rate, and a pause while the queues are long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic


class Pace:
    """Lets one job pass at a time, at most `rate` of them in a second."""

    def __init__(self, rate: float, *, clock: Callable[[], float] = monotonic) -> None:
        self._interval_seconds = 1 / rate
        self._clock = clock
        self._next = 0.0

    async def wait(self) -> None:
        """Wait until the next job may pass."""
        now = self._clock()
        wait_seconds = self._next - now
        self._next = max(now, self._next) + self._interval_seconds
        if wait_seconds > 0:
            await asyncio.sleep(wait_seconds)

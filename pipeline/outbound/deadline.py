"""The time that one exchange may take, however slowly the other side sends."""

from __future__ import annotations

import time

from pipeline.outbound.errors import OutboundTimeout


class Deadline:
    """A point in time, and how long the other side may be silent before it."""

    def __init__(self, seconds: float, *, idle_seconds: float | None = None) -> None:
        self._end = time.monotonic() + seconds
        self._idle_seconds = seconds if idle_seconds is None else idle_seconds

    def remaining(self) -> float:
        """Return the seconds that are left, more than 0. OutboundTimeout if none are."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise OutboundTimeout("The other side took too long.")
        return seconds

    def next_wait(self) -> float:
        """Return how long the next step may take. OutboundTimeout if no time is left."""
        return min(self.remaining(), self._idle_seconds)

"""The one clock of all processes, the database's: whole milliseconds since the epoch."""

from __future__ import annotations

import time

MEASURE_INTERVAL_NS = 30 * 10**9
MS = 10**6  # nanoseconds
STEP_NS = 60 * 10**9
"""A measurement that moves the estimate further shows that the clock was set, or that this machine was suspended."""


class ServerClock:
    """The clock of a server that several machines use, as this process measures it.

    Machines compare times with each other, such as the end of a lease, and their wall clocks differ. A server's clock
    is the same for all. A measurement bounds it: the server reads its clock between the command and the answer
    (Cristian, "Probabilistic clock synchronization", 1989). From then on the time of our monotonic clock is added, so
    steps of our wall clock do not matter.
    """

    def __init__(self) -> None:
        self._offset_ns: int | None = None
        """The server's clock minus our monotonic clock; None before the first measurement."""
        self._due_ns = 0
        self._stepped_ns: int | None = None
        """When a measurement last showed a step, by our monotonic clock; None without one."""

    @property
    def is_due(self) -> bool:
        """Whether the last measurement is too old, or there is none."""
        return time.monotonic_ns() >= self._due_ns

    def has_stepped_within(self, seconds: float) -> bool:
        """Whether a measurement in these last seconds has shown a step: ages that span it are wrong."""
        return self._stepped_ns is not None and time.monotonic_ns() - self._stepped_ns < seconds * 10**9

    @property
    def skew_seconds(self) -> float:
        """How far our wall clock is ahead of the server's clock; negative when it is behind."""
        return (time.time_ns() - self.now_ns()) / 10**9

    def now_ns(self) -> int:
        """Return the server's time in epoch nanoseconds; before the first measurement, that of our wall clock."""
        return time.time_ns() if self._offset_ns is None else time.monotonic_ns() + self._offset_ns

    def record(self, server_ns: int, *, resolution_ns: int, sent_ns: int) -> None:
        """Record an answer of the server with its time (epoch ns), just received.

        The server has rounded its time down to `resolution_ns`; the command was sent at `sent_ns` of our monotonic
        clock. The estimate moves only as far as the answer proves it wrong: a slow answer does not spoil it.
        """
        received_ns = time.monotonic_ns()
        lower, upper = server_ns - received_ns, server_ns + resolution_ns - sent_ns
        estimate = (lower + upper) // 2 if self._offset_ns is None else self._offset_ns
        offset_ns = min(max(estimate, lower), upper)
        if abs(offset_ns - estimate) > STEP_NS:
            self._stepped_ns = received_ns
        self._offset_ns = offset_ns
        self._due_ns = received_ns + MEASURE_INTERVAL_NS


DATABASE_CLOCK = ServerClock()
"""The database's clock in this process. It is global because times are stamped where no store is at hand, too: in the
headers of messages, the defaults of documents, the ids of jobs. A process uses one database."""


def now_ms() -> int:
    """Return the database's time in epoch milliseconds, the unit of every `*_ms` field."""
    return DATABASE_CLOCK.now_ns() // MS

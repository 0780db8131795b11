"""Progress of a queue, estimated from its length alone."""

from __future__ import annotations

from collections import deque

MAX_TARGETS = 1000  # measurements that are kept; dropping older ones only delays the estimate


class QueueProgress:
    """Estimates until when the messages of a queue have been consumed.

    A queue is first in, first out. So all messages of one measurement have been consumed once the decreases since then
    add up to its length, however many messages arrived in between. The estimate advances also for a queue that is never
    empty, and stands still with the queue. Lost messages, and additions between two measurements, make it too early. It
    is never too late, except for messages that a worker returns to the queue.
    """

    def __init__(self) -> None:
        self.consumed_until_ms = 0
        """All messages sent before this time (epoch ms) have been consumed; 0 while unknown."""
        self._total_added = self._total_removed = 0  # sums of increases and of decreases; the length is the difference
        self._targets = deque[tuple[int, int]](maxlen=MAX_TARGETS)
        """For each measurement, the `_total_removed` at which its messages are consumed, and its time (epoch ms)."""

    def record_length(self, length: int, *, at_ms: int) -> None:
        """Record a length; `at_ms` is when the measurement started (epoch ms)."""
        change = length - (self._total_added - self._total_removed)
        self._total_added += max(0, change)
        self._total_removed += max(0, -change)
        if self._targets and self._targets[-1][0] == self._total_added:
            self._targets.pop()  # nothing was added since: the same target proves more for the later measurement
        self._targets.append((self._total_added, at_ms))
        while self._targets and self._targets[0][0] <= self._total_removed:
            self.consumed_until_ms = self._targets.popleft()[1]

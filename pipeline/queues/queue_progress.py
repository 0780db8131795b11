"""How far a queue has come, where its length is all that can be seen of it."""

from __future__ import annotations

from collections import deque

MAX_TARGETS = 1000  # looks that are remembered; an older one that is forgotten costs nothing but time


class QueueProgress:
    """Which messages have been taken from a queue by now.

    All that was in it at one look has been taken once it has shrunk by as much in the looks since, however much came in
    between: what is in front is taken first. So a queue that is never empty moves on, and one that stands still does
    not. It is never ahead of the truth, which lost messages and growth between two looks only keep behind.
    """

    def __init__(self) -> None:
        self.consumed_until_ms = 0
        """Everything that was sent before this time has been taken; 0 while nothing is known."""
        self._total_added = self._total_removed = 0  # in all; their difference is the length
        self._targets = deque[tuple[int, int]](
            maxlen=MAX_TARGETS
        )  # by when it has to have shrunk how much, and for which look

    def record_length(self, length: int, *, at_ms: int) -> None:
        """Note the length that a look found, which was begun at a time."""
        change = length - (self._total_added - self._total_removed)
        self._total_added += max(0, change)
        self._total_removed += max(0, -change)
        if self._targets and self._targets[-1][0] == self._total_added:
            self._targets.pop()  # the same target serves a later look
        self._targets.append((self._total_added, at_ms))
        while self._targets and self._targets[0][0] <= self._total_removed:
            self.consumed_until_ms = self._targets.popleft()[1]

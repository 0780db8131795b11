"""How far a queue has come, where its length is all that can be seen of it."""

from __future__ import annotations

from collections import deque

MARKS = 1000  # looks that are remembered; an older one that is forgotten costs nothing but time


class Progress:
    """Which messages have been taken from a queue by now.

    All that was in it at one look has been taken once it has shrunk by as much in the looks since, however much came in
    between: what is in front is taken first. So a queue that is never empty moves on, and one that stands still does
    not. It is never ahead of the truth, which lost messages and growth between two looks only keep behind.
    """

    def __init__(self) -> None:
        self.passed_ms = 0
        """Everything that was sent before this time has been taken; 0 while nothing is known."""
        self._grown = self._shrunk = 0  # in all; their difference is the length
        self._marks = deque[tuple[int, int]](maxlen=MARKS)  # by when it has to have shrunk how much, and for which look

    def saw(self, length: int, *, at_ms: int) -> None:
        """Note the length that a look found, which was begun at a time."""
        change = length - (self._grown - self._shrunk)
        self._grown += max(0, change)
        self._shrunk += max(0, -change)
        if self._marks and self._marks[-1][0] == self._grown:
            self._marks.pop()  # the same target serves a later look
        self._marks.append((self._grown, at_ms))
        while self._marks and self._marks[0][0] <= self._shrunk:
            self.passed_ms = self._marks.popleft()[1]

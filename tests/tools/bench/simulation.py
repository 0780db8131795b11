"""The canvas as a simulation of events: jobs at random moments, a pool for each stage, a core for each process."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from random import Random

from tests.tools.bench.queueing import Stage

WARM = 0.1  # of the jobs, before waits are counted: the pools begin empty


class Simulation:
    """One run of jobs through their stages; the same every time for one seed."""

    def __init__(self, stages: Sequence[Stage], processes: Mapping[str, int], *, seed: int = 1) -> None:
        self._stages = stages
        self._free = [processes[stage.name] for stage in stages]
        self._waiting: list[deque[tuple[float, int]]] = [deque() for _ in stages]
        self._dice = Random(seed)  # noqa: S311  # not a secret
        self._order = itertools.count()
        self._events: list[tuple[float, int, int, int]] = []  # when, order, the stage that ends (-1: a job comes), job
        self._left: dict[int, int] = {}
        self._waits: list[list[float]] = [[] for _ in stages]
        self._counted = 0

    def run(self, rate: float, jobs: int) -> dict[str, float]:
        """Let jobs come at a mean rate, and return the mean wait of a task at each stage, in seconds."""
        now = 0.0
        self._counted = int(jobs * WARM)
        for job in range(jobs):
            now += self._dice.expovariate(rate)
            self._note(now, -1, job)
        while self._events:
            now, _, place, job = heapq.heappop(self._events)
            if place < 0:
                self._arrive(now, 0, job)
            else:
                self._end(now, place, job)
        return {stage.name: sum(waits) / len(waits) for stage, waits in zip(self._stages, self._waits, strict=True)}

    def _note(self, when: float, place: int, job: int) -> None:
        heapq.heappush(self._events, (when, next(self._order), place, job))

    def _arrive(self, now: float, place: int, job: int) -> None:
        self._left[job] = self._stages[place].tasks
        self._waiting[place].extend([(now, job)] * self._stages[place].tasks)
        self._start(now, place)

    def _start(self, now: float, place: int) -> None:
        while self._free[place] and self._waiting[place]:
            since, job = self._waiting[place].popleft()
            self._free[place] -= 1
            if job >= self._counted:
                self._waits[place].append(now - since)
            self._note(now + self._dice.expovariate(1 / self._stages[place].seconds), place, job)

    def _end(self, now: float, place: int, job: int) -> None:
        self._free[place] += 1
        self._left[job] -= 1
        if not self._left[job] and place + 1 < len(self._stages):
            self._arrive(now, place + 1, job)
        self._start(now, place)

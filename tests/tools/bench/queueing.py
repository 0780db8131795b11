"""How many processes a pool needs: offered load, Erlang's formula, and the square root rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, sqrt

UTILISATION = 0.7  # of a core, a node, a single-threaded server: at 0.9 waits are four times as long
BUSIEST = 0.85  # of a pool: a large one hardly waits even at 0.99, and has nothing left for a burst
BETA = 1.0  # of the square root rule: about one task in five waits


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stage: how many tasks of it a job has, all due at once, and the seconds one runs."""

    name: str
    seconds: float
    tasks: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """What a stage needs at some rate: its load in processes, its processes, and the mean wait in seconds."""

    stage: Stage
    load: float
    processes: int
    wait: float

    @property
    def utilisation(self) -> float:
        """The share of the time that a process works."""
        return self.load / self.processes


def erlang_c(processes: int, load: float) -> float:
    """Return the chance that a task has to wait: M/M/c, by Erlang B's recursion. 1 when the pool cannot keep up."""
    if load >= processes:
        return 1.0
    blocked = 1.0
    for count in range(1, processes + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1 - load / processes * (1 - blocked))


def mean_wait(stage: Stage, processes: int, rate: float) -> float:
    """Return the mean seconds that a task waits at so many jobs a second; infinite when the pool cannot keep up.

    Tasks of one job come at once and wait for each other: with one process (k - 1) / 2 run times more, exactly
    (M[k]/M/1); with several less than that share, so that it is then an upper bound.
    """
    load = offered_load(stage, rate)
    if load >= processes:
        return float("inf")
    alone = erlang_c(processes, load) * stage.seconds / (processes - load)
    return alone + (stage.tasks - 1) / 2 * stage.seconds / (processes - load)


def offered_load(stage: Stage, rate: float) -> float:
    """Return how many processes are busy on average at so many jobs a second (Little's law)."""
    return rate * stage.tasks * stage.seconds


def square_root_staffing(load: float, beta: float = BETA) -> int:
    """Return the pool for a load by square root staffing (Halfin and Whitt, 1981): spare processes grow as its root."""
    return max(1, ceil(load + beta * sqrt(load)))


def size_pool(stage: Stage, rate: float, *, patience: float = 1.0) -> Pool:
    """Return the smallest pool that is BUSIEST at most, its mean wait under `patience` runs of all a job's tasks."""
    load = offered_load(stage, rate)
    processes = max(1, ceil(load / BUSIEST))
    while mean_wait(stage, processes, rate) > patience * stage.tasks * stage.seconds:
        processes += 1
    return Pool(stage=stage, load=load, processes=processes, wait=mean_wait(stage, processes, rate))


def count_nodes(cpu_seconds: float, rate: float, *, cores: int, utilisation: float = UTILISATION) -> int:
    """Return how many nodes of so many cores the work of a rate needs, a job costing so many seconds of CPU."""
    return max(1, ceil(rate * cpu_seconds / (cores * utilisation)))


def capacity(cpu_seconds: float, *, cores: float = 1, utilisation: float = UTILISATION) -> float:
    """Return the jobs a second that some cores can serve."""
    return cores * utilisation / cpu_seconds


def stages_from_cpu_ms(cpu_ms: Mapping[str, float], tasks: Mapping[str, int]) -> list[Stage]:
    """Return the stages of a run from the CPU time that each pool used for a job."""
    return [
        Stage(name=name, seconds=cpu_ms[name] / 1000 / count, tasks=count)
        for name, count in tasks.items()
        if cpu_ms.get(name)
    ]

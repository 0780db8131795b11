"""Whether the memory of a process grows from job to job, by readings that each may be far off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import median

from tests.tools.bench.sample import MIB

KIB = 1024
LEAST_READINGS = 8
NEIGHBOURS = 3  # readings whose median is the memory at one moment
LIFE_JOBS = 2000  # a child is replaced after so many tasks: `work.max_tasks_per_child`
GROWTH_MIB = 12.0  # in a life, or since the start: three images of a megapixel, or a tenth of one of 30
NORMAL_95 = 1.96  # standard deviations


@dataclass(frozen=True, slots=True)
class Reading:
    """The bytes of a process at rest after so many jobs."""

    jobs: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """The memory of a process, in MiB; how much each job adds in the second half, and how much at least."""

    start: float
    half: float
    end: float
    most: float
    kib_a_job: float
    least_kib_a_job: float

    @property
    def is_flat(self) -> bool:
        """Whether a child would hardly grow in its life, and never holds an image, also between two collections."""
        return self.least_kib_a_job * LIFE_JOBS / KIB < GROWTH_MIB and self.most - self.start < GROWTH_MIB

    @property
    def verdict(self) -> str:
        """The same in a word."""
        return "flat" if self.is_flat else "GROWS"


def measure_growth(first: Reading, readings: Sequence[Reading]) -> Growth:
    """Compare readings with a first one, before which no image was refused. RuntimeError if there are too few."""
    if len(readings) < LEAST_READINGS:
        raise RuntimeError(f"{len(readings)} readings are too few: {LEAST_READINGS} are needed")
    levels = [
        median(each.bytes for each in readings[start : start + NEIGHBOURS]) / MIB
        for start in range(len(readings) - NEIGHBOURS + 1)
    ]
    slope, least = find_slope(readings[len(readings) // 2 :])
    half = levels[len(levels) // 2]
    return Growth(first.bytes / MIB, half, levels[-1], max(levels), slope / KIB, least / KIB)


def find_slope(readings: Sequence[Reading]) -> tuple[float, float]:
    """Return the bytes that a job adds, and how many at least with a probability of 97.5 %.

    The median of the slopes of all pairs, which a quarter of the readings cannot bend (Theil and Sen); its lower bound
    by the variance of Kendall's S.
    """
    pairs = combinations(readings, 2)
    slopes = sorted((later.bytes - before.bytes) / (later.jobs - before.jobs) for before, later in pairs)
    count = len(readings)
    deviation = sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return median(slopes), slopes[max(0, round((len(slopes) - NORMAL_95 * deviation) / 2))]

"""Reading metrics as Prometheus does: a scrape of one process, and what happened between two of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
SeriesList = list[tuple[dict[str, str], float]]  # series: their labels, and a number


@dataclass(frozen=True)
class Scrape:
    """What one process told at one moment: seconds of a clock that only goes forward."""

    at: float
    samples: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)

    @classmethod
    def parse(cls, at: float, text: str) -> Scrape:
        """Read Prometheus' text format; ValueError where it is something else."""
        samples: dict[str, dict[Labels, float]] = defaultdict(dict)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples[sample.name][frozenset(sample.labels.items())] = sample.value
        return cls(at, dict(samples))

    def series(self, name: str, **wanted: str) -> SeriesList:
        """Return the series of this name that have the labels wanted."""
        return [
            (dict(labels), value) for labels, value in self.samples.get(name, {}).items() if wanted.items() <= labels
        ]

    def value(self, name: str, **wanted: str) -> float | None:
        """Return the sum of the series of this name that have the labels wanted; None when there are none."""
        found = self.series(name, **wanted)
        return sum(value for _, value in found) if found else None


@dataclass(frozen=True)
class ScrapeDelta:
    """What happened in one process between two scrapes of it."""

    before: Scrape
    after: Scrape

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.after.at - self.before.at

    def series(self, name: str, **wanted: str) -> SeriesList:
        """Return the counters of this name and by how much each grew; one that is new, or fell, began at 0."""
        start_metric = "process_start_time_seconds"
        restarted = self.before.samples.get(start_metric) != self.after.samples.get(start_metric)
        earlier = {} if restarted else self.before.samples.get(name, {})
        increases: SeriesList = []
        for labels, value in self.after.samples.get(name, {}).items():
            if wanted.items() <= labels:
                start = earlier.get(labels, 0.0)
                increases.append((dict(labels), value - start if value >= start else value))
        return increases

    def increase(self, name: str, **wanted: str) -> float:
        """Return by how much these counters grew together."""
        return sum(increases for _, increases in self.series(name, **wanted))


def rate(spans: Iterable[ScrapeDelta], name: str, **wanted: str) -> float:
    """Return by how much these counters grew per second, in all processes together."""
    return sum(span.increase(name, **wanted) / span.seconds for span in spans if span.seconds > 0)


def quantiles(spans: Iterable[ScrapeDelta], name: str, *ranks: float, **wanted: str) -> list[float | None]:
    """Return quantiles of what a histogram saw in all processes together; None where it saw nothing."""
    buckets: dict[float, float] = defaultdict(float)
    for span in spans:
        for labels, increases in span.series(f"{name}_bucket", **wanted):
            buckets[float(labels["le"])] += increases
    return [quantile(rank, buckets) for rank in ranks]


def quantile(rank: float, buckets: Mapping[float, float]) -> float | None:
    """Return a quantile of a histogram, each bucket taken as evenly filled, as Prometheus does.

    `buckets` holds for each upper bound, infinity among them, how many values are not above it. A quantile above the
    last finite bound is that bound. https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    """
    total = buckets.get(inf, 0.0)
    if not total or len(buckets) == 1:
        return None
    wanted, below = rank * total, 0.0
    for lower, upper in pairwise([0.0, *sorted(buckets)]):
        if upper == inf:
            return lower
        if buckets[upper] >= wanted:
            within = buckets[upper] - below
            return lower + (upper - lower) * ((wanted - below) / within if within else 0.0)
        below = buckets[upper]
    return None

"""Reads metrics as Prometheus does: a scrape of one process, and the difference of two scrapes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
SeriesList = list[tuple[dict[str, str], float]]  # the labels and the value of each series


@dataclass(frozen=True)
class Scrape:
    """The metrics of one process at one time, in seconds of a monotonic clock."""

    at: float
    samples: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)

    @classmethod
    def parse(cls, at: float, text: str) -> Scrape:
        """Parse Prometheus' text format. ValueError if the text is something else."""
        samples: dict[str, dict[Labels, float]] = defaultdict(dict)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples[sample.name][frozenset(sample.labels.items())] = sample.value
        return cls(at, dict(samples))

    def series(self, name: str, **wanted: str) -> SeriesList:
        """Return the series with this name and these labels."""
        return [
            (dict(labels), value) for labels, value in self.samples.get(name, {}).items() if wanted.items() <= labels
        ]

    def value(self, name: str, **wanted: str) -> float | None:
        """Return the sum of the series with this name and these labels; None if there are none."""
        series = self.series(name, **wanted)
        return sum(value for _, value in series) if series else None


@dataclass(frozen=True)
class ScrapeDelta:
    """The difference between two scrapes of one process."""

    before: Scrape
    after: Scrape

    @property
    def seconds(self) -> float:
        """The seconds between the scrapes."""
        return self.after.at - self.before.at

    def series(self, name: str, **wanted: str) -> SeriesList:
        """Return the increase of each counter with this name. A counter that is new, or has fallen, started at 0."""
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
        """Return the sum of the increases of these counters."""
        return sum(increase for _, increase in self.series(name, **wanted))


def rate(spans: Iterable[ScrapeDelta], name: str, **wanted: str) -> float:
    """Return the increase of these counters per second, summed over all processes."""
    return sum(span.increase(name, **wanted) / span.seconds for span in spans if span.seconds > 0)


def quantiles(spans: Iterable[ScrapeDelta], name: str, *ranks: float, **wanted: str) -> list[float | None]:
    """Return quantiles of a histogram over all processes; None if it has no observations."""
    buckets: dict[float, float] = defaultdict(float)
    for span in spans:
        for labels, increase in span.series(f"{name}_bucket", **wanted):
            buckets[float(labels["le"])] += increase
    return [quantile(rank, buckets) for rank in ranks]


def quantile(rank: float, buckets: Mapping[float, float]) -> float | None:
    """Return a quantile of a histogram. Like Prometheus, assume that values are evenly distributed in each bucket.

    `buckets` has the number of values up to each upper bound, including infinity. A quantile above the last finite
    bound is that bound. https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
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

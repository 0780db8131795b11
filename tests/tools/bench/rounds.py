"""Figures of several systems, round after round, and how one system compares with another within each round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from tests.tools.bench.bench import Bench

Metrics = Mapping[str, float]
"""What one system did in one round, by the names of the figures."""
Round = Mapping[str, Metrics]
"""The metrics of each system in one round."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of two systems, of each round; None where a round lacks it or the ratio has no meaning."""

    own: list[float | None]
    other: list[float | None]
    ratios: list[float | None]

    @property
    def own_median(self) -> float | None:
        """The median of the one."""
        return median_or_none(self.own)

    @property
    def other_median(self) -> float | None:
        """The median of the other."""
        return median_or_none(self.other)

    @property
    def median(self) -> float | None:
        """The median of the ratios: each round has its own, because the machine drifts and both feel it."""
        return median_or_none(self.ratios)

    def figures(self) -> dict[str, Any]:
        """Return all of it, as it goes into the JSON file."""
        medians = {"own_median": self.own_median, "other_median": self.other_median, "median": self.median}
        return asdict(self) | medians


def compare(rounds: Sequence[Round], own: str, other: str) -> dict[str, Comparison]:
    """Compare two systems by every figure that one of them has in any round."""
    names = dict.fromkeys(name for each in rounds for system in (own, other) for name in each.get(system, {}))
    found = {}
    for name in names:
        own_values = [each.get(own, {}).get(name) for each in rounds]
        other_values = [each.get(other, {}).get(name) for each in rounds]
        pairs = zip(own_values, other_values, strict=True)
        found[name] = Comparison(own_values, other_values, [ratio(one, two) for one, two in pairs])
    return found


def ratio(own: float | None, other: float | None) -> float | None:
    """Return the one by the other; None without both, or by zero."""
    return None if own is None or not other else own / other


def median_or_none(values: Sequence[float | None]) -> float | None:
    """Return the median of the values that are there."""
    present = [value for value in values if value is not None]
    return median(present) if present else None


def order(systems: Sequence[Any], number: int) -> list[Any]:
    """Return the systems in the order of a round: every second one the reverse, so that a drift favours nobody."""
    return list(reversed(systems)) if number % 2 else list(systems)


def show_comparison(bench: Bench, title: str, rounds: Sequence[Round], own: str, other: str) -> dict[str, Any]:
    """Print the figures of two systems, of every round, with their ratios; return them for the JSON file.

    What only the first has is not printed.
    """
    found = compare(rounds, own, other)
    numbers = range(1, len(rounds) + 1)
    headings = ["", *(f"{own} {n}" for n in numbers), *(f"{other} {n}" for n in numbers)]
    headings += [*(f"ratio {n}" for n in numbers), "median"]
    shown = {name: each for name, each in found.items() if each.other_median is not None}
    rows = [(name, *each.own, *each.other, *each.ratios, each.median) for name, each in shown.items()]
    bench.show(f"{title}: {own} to {other}", headings, rows)
    return {name: each.figures() for name, each in found.items()}

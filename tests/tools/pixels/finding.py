"""What a file's readings come to: alike, different, refused by one side only, or a fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stages.formats import MEDIA_TYPES
from tests.tools.pixels.difference import Difference, compare_roughly, compare_views, find_turn
from tests.tools.pixels.reading import REFUSED, Program, Reading

Kind = Literal[
    "fault", "differs", "refused", "accepted", "partial", "alike", "refused by both", "other format", "not compared"
]
PROBLEMS: tuple[Kind, ...] = ("fault", "differs", "refused", "accepted")
"""Worth a look, worst first; the others are as they should be, or cannot be judged."""
MEANINGS: dict[Kind, str] = {
    "fault": "a stage crashed, hung, raised an unknown exception or took too much memory",
    "differs": "the pixels or the size differ from the oracle's",
    "refused": "refused here, shown by an oracle",
    "accepted": "accepted here, refused by an oracle, or shown by it in part only",
    "partial": "refused here, and an oracle shows only a part of it",
    "alike": "the same pixels, within the threshold",
    "refused by both": "refused here, and by every oracle that knows the format",
    "other format": "refused here, as all files of this format",
    "not compared": "no oracle that was asked knows the format",
}


_PREVIEW_LEVELS = 12.0  # more than the master: hard edges between pure colours lose this much to JPEG 4:2:0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which mean and which 99th percentile on a difference is a finding."""

    mean: float = 2.0
    p99: int = 24


@dataclass(slots=True, kw_only=True)
class Finding:
    """A line of the report: `oracle` is the one that was believed, `others` are the mean differences to the rest."""

    file: Path
    format: str
    kind: Kind
    ours: Reading
    oracle: str = ""
    theirs: Reading = field(default_factory=Reading)
    difference: Difference | None = None
    preview: Difference | None = None
    turn: str = ""
    others: dict[str, float] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, float, int]:
        """Sort by it: the worst first."""
        rank = PROBLEMS.index(self.kind) if self.kind in PROBLEMS else len(PROBLEMS)
        return rank, -max(self.mean, self.preview_mean), -(self.difference.p99 if self.difference else 0)

    @property
    def mean(self) -> float:
        """The mean difference of the master, or 0 if it was not compared."""
        return self.difference.mean if self.difference else 0.0

    @property
    def preview_mean(self) -> float:
        """The mean difference of the largest preview, of averages over blocks because it was encoded with losses."""
        return self.preview.mean if self.preview else 0.0


def judge(
    finding: Finding, oracles: Sequence[Program], readings: Mapping[str, Reading], thresholds: Thresholds
) -> Finding:
    """Complete a finding that has our reading alone. The first oracle that shows the whole file is believed."""
    ours = finding.ours
    shown = [oracle.name for oracle in oracles if readings[oracle.name].is_shown]
    whole = [name for name in shown if not readings[name].is_partial]
    refused = [oracle.name for oracle in oracles if _means_refusal(oracle, readings[oracle.name], finding.format)]
    failed = [oracle.name for oracle in oracles if readings[oracle.name].fault]
    finding.oracle = next(iter(whole or shown or refused or failed), "")
    finding.theirs = readings.get(finding.oracle, Reading())
    if ours.fault:
        finding.kind = "fault"
    elif finding.format not in MEDIA_TYPES and not ours.is_shown:
        finding.kind = "other format"
    elif ours.is_shown and shown:
        _compare(finding, readings, thresholds)
    else:
        finding.kind = _kind(ours, whole, shown, refused)
    return finding


def _kind(ours: Reading, whole: Sequence[str], shown: Sequence[str], refused: Sequence[str]) -> Kind:
    """Return the kind of a file that one side at least does not show."""
    if ours.is_shown:
        return "accepted" if refused else "not compared"
    if whole:
        return "refused"
    if shown:
        return "partial"
    return "refused by both" if refused else "not compared"


def _means_refusal(oracle: Program, reading: Reading, format_: str) -> bool:
    return reading.code == REFUSED and format_ in oracle.formats


def _compare(finding: Finding, readings: Mapping[str, Reading], thresholds: Thresholds) -> None:
    ours, theirs = finding.ours, finding.theirs
    finding.difference = compare_views(ours.views, theirs.views)
    finding.turn = find_turn(ours.views, theirs.views, finding.difference)
    finding.preview = compare_roughly(ours.preview, theirs.views) if ours.preview else None
    finding.others = {
        name: round(compare_views(ours.views, reading.views).mean, 2)
        for name, reading in readings.items()
        if reading.is_shown and name != finding.oracle
    }
    is_alike = (
        (ours.width, ours.height) == (theirs.width, theirs.height)
        and finding.difference.mean <= thresholds.mean
        and finding.difference.p99 <= thresholds.p99
        and finding.preview_mean <= finding.mean + _PREVIEW_LEVELS
    )
    finding.kind = "alike" if is_alike else "accepted" if theirs.is_partial else "differs"

"""What a file's readings come to: alike, different, refused by one side only, or a fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.tools.pixels.compare import Difference, compare_views, find_turn
from tests.tools.pixels.reading import Program, Reading

Kind = Literal["fault", "differs", "refused", "accepted", "partial", "alike", "refused by both", "not compared"]
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
    "not compared": "no oracle knows the format",
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which mean and which 99th percentile on a difference is a finding."""

    mean: float = 2.0
    p99: int = 24


@dataclass(slots=True, kw_only=True)
class Finding:
    """A line of the report: `oracle` is the one that was believed, `others` are the mean differences to the rest."""

    file: Path
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
        """The mean difference of the largest preview, which was encoded and so is never as near."""
        return self.preview.mean if self.preview else 0.0


def judge(
    file: Path, ours: Reading, oracles: Sequence[Program], readings: Mapping[str, Reading], thresholds: Thresholds
) -> Finding:
    """Hold a reading against those of the oracles. The first that shows the whole file is believed."""
    shown = [oracle.name for oracle in oracles if readings[oracle.name].is_shown]
    whole = [name for name in shown if not readings[name].is_partial]
    refused = [oracle.name for oracle in oracles if _means_refusal(oracle, readings[oracle.name], ours)]
    if ours.fault:
        return Finding(file=file, kind="fault", ours=ours)
    name = next(iter(whole or shown or refused), "")
    theirs = readings[name] if name else Reading()
    if ours.is_shown and whole:
        return _compare(Finding(file=file, kind="alike", ours=ours, oracle=name, theirs=theirs), readings, thresholds)
    return Finding(file=file, kind=_kind(ours, whole, shown, refused), ours=ours, oracle=name, theirs=theirs)


def _kind(ours: Reading, whole: Sequence[str], shown: Sequence[str], refused: Sequence[str]) -> Kind:
    """Return the kind of a file that one side at least does not show."""
    if ours.is_shown:
        return "accepted" if shown or refused else "not compared"
    if whole:
        return "refused"
    if shown:
        return "partial"
    return "refused by both" if refused else "not compared"


def _means_refusal(oracle: Program, reading: Reading, ours: Reading) -> bool:
    return not reading.is_shown and not reading.fault and (not ours.format or ours.format in oracle.formats)


def _compare(finding: Finding, readings: Mapping[str, Reading], thresholds: Thresholds) -> Finding:
    ours, theirs = finding.ours, finding.theirs
    finding.difference = compare_views(ours.views, theirs.views)
    finding.turn = find_turn(ours.views, theirs.views, finding.difference)
    finding.preview = compare_views(ours.preview, theirs.views) if ours.preview else None
    finding.others = {
        name: round(compare_views(ours.views, reading.views).mean, 2)
        for name, reading in readings.items()
        if reading.is_shown and name != finding.oracle
    }
    if (ours.width, ours.height) != (theirs.width, theirs.height) or _is_over(finding, thresholds):
        finding.kind = "differs"
    return finding


def _is_over(finding: Finding, thresholds: Thresholds) -> bool:
    """Whether a difference is a finding. Twice the mean is allowed to a preview: JPEG and WebP are lossy."""
    difference = finding.difference
    if difference is None:
        return False
    return (
        difference.mean > thresholds.mean
        or difference.p99 > thresholds.p99
        or finding.preview_mean > finding.mean + 2 * thresholds.mean
    )

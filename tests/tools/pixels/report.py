"""The report: tables for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.tools.pixels.finding import MEANINGS, PROBLEMS, Finding
from tests.tools.pixels.reading import Reading

_REFUSALS = {"refused", "other format", "not compared"}
_TITLES = {
    "fault": "Faults: report these",
    "differs": "Other pixels than the oracle's",
    "refused": "Refused here, shown by an oracle",
    "accepted": "Accepted here, not by an oracle",
}


def print_report(findings: Sequence[Finding], folder: Path, worst: int, console: Console) -> None:
    """Print the worst of each kind of problem, refusals by their code, and the counts of all kinds."""
    for kind in PROBLEMS:
        rows = [finding for finding in findings if finding.kind == kind]
        if rows:
            console.print(_table(_TITLES[kind], rows[:worst], len(rows), folder))
    refusals = Counter(
        (finding.format, finding.ours.code, finding.ours.message)
        for finding in findings
        if finding.kind in _REFUSALS and finding.ours.code
    )
    if refusals:
        console.print("Refusals that no oracle shares, by reason:")
        for (format_, code, message), number in refusals.most_common():
            console.print(Text(f"{number:6}  {format_:5} {code}: {message}"))
        console.print()
    counts = Counter(finding.kind for finding in findings)
    for kind, meaning in MEANINGS.items():
        if counts[kind]:
            console.print(Text(f"{counts[kind]:6}  {kind}: {meaning}"))


def make_summary(findings: Sequence[Finding], skipped: int, seconds: float) -> str:
    """Return the last line."""
    problems = sum(finding.kind in PROBLEMS for finding in findings)
    compared = [finding for finding in findings if finding.difference is not None]
    alike = sum(finding.kind == "alike" for finding in compared)
    return (
        f"{len(findings)} images in {seconds:.0f} s: {len(compared)} compared, {alike} of them alike; "
        f"{problems} worth a look; {skipped} other files skipped"
    )


def write_report(findings: Sequence[Finding], path: Path, folder: Path) -> None:
    """Write all findings, the worst first, as CSV or as JSON, by the suffix of the path."""
    rows = [_row(finding, folder) for finding in findings]
    if path.suffix.lower() != ".csv":
        path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file, fieldnames=list(_row(Finding(file=folder, format="", kind="alike", ours=Reading()), folder))
        )
        writer.writeheader()
        writer.writerows(rows)


def name_of(finding: Finding, folder: Path) -> str:
    """Return a file's name within the folder, or of another folder's file with it; every character can be shown."""
    file = finding.file
    path = file.relative_to(folder) if file.is_relative_to(folder) else Path(file.parent.name, file.name)
    return str(path).encode("utf-8", "replace").decode()


def _row(finding: Finding, folder: Path) -> dict[str, Any]:
    ours, theirs, difference = finding.ours, finding.theirs, finding.difference
    return {
        "file": name_of(finding, folder),
        "kind": finding.kind,
        "format": finding.format,
        "oracle": finding.oracle,
        "size": _size(ours),
        "oracle_size": _size(theirs),
        "turn": finding.turn,
        "mean": round(difference.mean, 3) if difference else None,
        "p99": difference.p99 if difference else None,
        "preview_mean": round(finding.preview.mean, 3) if finding.preview else None,
        "other_oracles": " ".join(f"{name}={mean}" for name, mean in finding.others.items()),
        "code": ours.code,
        "message": ours.message,
        "fault": ours.fault,
        "oracle_message": theirs.message or theirs.fault or ("a part is missing" if theirs.is_partial else ""),
    }


def _table(title: str, rows: Iterable[Finding], number: int, folder: Path) -> Table:
    cells = [_row(finding, folder) for finding in rows]
    caption = f"the worst {len(cells)} of {number}" if len(cells) < number else ""
    table = Table(
        title=f"{title}: {number}", caption=caption, box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left"
    )
    columns = [name for name in cells[0] if name != "kind" and any(cell[name] not in ("", None) for cell in cells)]
    for name in columns:
        is_number = isinstance(cells[0][name], (int, float))
        table.add_column(name.replace("_", " "), justify="right" if is_number else "left", overflow="fold")
    for cell in cells:
        table.add_row(*(Text("" if cell[name] is None else str(cell[name])) for name in columns))
    return table


def _size(reading: Reading) -> str:
    return f"{reading.width}x{reading.height}" if reading.width else ""

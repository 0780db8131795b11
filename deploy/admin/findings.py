"""What a check finds, and how it is shown. Runs on Python 3.9, too: the doctor looks at machines as they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum


class Level(str, Enum):  # noqa: UP042  # StrEnum came with Python 3.11
    """How serious a finding is. An error prevents work; a warning may cost data, speed or safety later."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One line of a report."""

    subject: str
    """What was checked, in one word: `redis`."""
    level: Level
    text: str
    action: str = ""
    """What to do, for a warning or an error."""


def ok(subject: str, text: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(subject, Level.OK, text)


def warning(subject: str, text: str, action: str = "") -> Finding:
    """Return a finding that prevents nothing now."""
    return Finding(subject, Level.WARNING, text, action)


def error(subject: str, text: str, action: str = "") -> Finding:
    """Return a finding that prevents work."""
    return Finding(subject, Level.ERROR, text, action)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether one of them is an error."""
    return any(finding.level == Level.ERROR for finding in findings)


def render_text(findings: list[Finding]) -> str:
    """Return a line for each finding, and a last one that counts them."""
    width = max((len(finding.subject) for finding in findings), default=0)
    lines = [
        f"{finding.level.value:7}  {finding.subject:{width}}  {finding.text}"
        + (f"  -> {finding.action}" if finding.action else "")
        for finding in findings
    ]
    counts = Counter(finding.level for finding in findings)
    return "\n".join([*lines, ", ".join(f"{counts[level]} {level.value}" for level in Level)])


def render_json(findings: list[Finding]) -> str:
    """Return the findings for programs."""
    levels = [finding.level for finding in findings]
    worst = max(levels, key=list(Level).index, default=Level.OK)
    return json.dumps({"status": worst.value, "findings": [asdict(finding) for finding in findings]}, indent=2)

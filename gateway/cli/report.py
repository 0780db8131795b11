"""The report of a batch: a line for each photo as it ends, a sum, and the exit status that says how all went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rich.text import Text

from gateway.cli.exit_codes import Exit
from gateway.cli.humanize import counted, plain, span


class Verdict(StrEnum):
    """How it went with one photo."""

    DONE = "done"
    ACCEPTED = "accepted"
    FAILED = "failed"
    REFUSED = "refused"
    UNUSABLE = "unusable"
    """Its file cannot be read, or a result cannot be written."""
    UNAVAILABLE = "unavailable"


EXITS = {
    Verdict.UNAVAILABLE: Exit.UNAVAILABLE,
    Verdict.FAILED: Exit.JOB_FAILED,
    Verdict.REFUSED: Exit.REFUSED,
    Verdict.UNUSABLE: Exit.USAGE,
}
"""The first of them that some photo has decides; what is worth another run comes first."""
MARKS = {Verdict.DONE: ("✓", "green"), Verdict.ACCEPTED: ("→", "cyan")}
BAD = ("✗", "bold red")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one photo; `skipped` if that was so before this run."""

    file: str
    verdict: Verdict
    skipped: bool = False
    task_id: str | None = None
    status: str | None = None
    saved: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    message: str | None = None
    errors: Sequence[Mapping[str, Any]] = ()
    ms: float | None = None

    def document(self) -> dict[str, Any]:
        """Return what a program reads."""
        return {
            "file": self.file,
            "outcome": str(self.verdict),
            "skipped": self.skipped,
            "task_id": self.task_id,
            "status": self.status,
            "saved": dict(self.saved),
            "code": self.code,
            "message": self.message,
            "errors": list(self.errors),
        }

    def line(self, width: int = 0) -> Text | None:
        """Return what a person reads, the name in so many columns; nothing of what was good before."""
        mark, style = MARKS.get(self.verdict, BAD)
        text = Text.assemble((mark, style), f" {plain(self.file):<{width}}")
        if self.verdict in MARKS:
            if self.skipped:
                return None
            text.append(f"  {self.task_id}", "dim")
            return text.append(f"  {self._made()}" if self.verdict is Verdict.DONE else "")
        earlier = " (in an earlier run)" if self.skipped else ""
        text.append(f"  {self.code or self.verdict}", "red").append(f"{earlier}  {self.message or ''}".rstrip())
        for error in self.errors:
            if (message := str(error.get("message", ""))) != self.message:
                text.append(f"\n    {error.get('pointer', '')} {message}".rstrip())
        return text

    def _made(self) -> str:
        took = span(self.ms)
        return f"{counted(len(self.saved), 'file')} in {took}" if self.saved else took


def exit_of(outcomes: Iterable[Outcome], *, complete: bool) -> Exit:
    """Return the exit status of a batch; one that was broken off is not complete."""
    verdicts = {outcome.verdict for outcome in outcomes}
    if not complete:
        verdicts.add(Verdict.UNAVAILABLE)
    return next((exit_ for verdict, exit_ in EXITS.items() if verdict in verdicts), Exit.WELL)


def summary(outcomes: Sequence[Outcome], *, photos: int, ms: float) -> Text:
    """Return the sum of a batch in a line."""
    fresh = Counter(outcome.verdict for outcome in outcomes if not outcome.skipped)
    text = Text(f"{counted(photos, 'photo')}: ", "bold")
    parts = [(f"{fresh[verdict]:,} {verdict}", MARKS.get(verdict, BAD)[1]) for verdict in Verdict if fresh[verdict]]
    for verdict, word in (((Verdict.DONE, Verdict.ACCEPTED), "before"), (tuple(EXITS), "failed before")):
        if before := sum(outcome.skipped and outcome.verdict in verdict for outcome in outcomes):
            parts.append((f"{before:,} {word}", "dim" if word == "before" else "red"))
    if left := photos - len(outcomes):
        parts.append((f"{left:,} left", "yellow"))
    for index, (part, style) in enumerate(parts):
        text.append(", " if index else "").append(part, style)
    return text.append(f" · {span(ms)}", "dim")

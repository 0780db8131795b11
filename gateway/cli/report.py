"""The report of a batch: a line for each photo as it ends, a summary, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rich.text import Text

from .exit_codes import ExitCode
from .humanize import format_duration, pluralize, replace_unprintable


class Result(StrEnum):
    """How the upload of one photo ended."""

    DONE = "done"
    ACCEPTED = "accepted"
    FAILED = "failed"
    REFUSED = "refused"
    UNUSABLE = "unusable"
    """Its file cannot be read, or a result cannot be written."""
    UNAVAILABLE = "unavailable"


EXIT_CODE_BY_RESULT = {
    Result.UNAVAILABLE: ExitCode.UNAVAILABLE,
    Result.FAILED: ExitCode.JOB_FAILED,
    Result.REFUSED: ExitCode.REFUSED,
    Result.UNUSABLE: ExitCode.USAGE,
}
"""In order of precedence: the first result that any photo has decides. `UNAVAILABLE` is first: it is worth a rerun."""
SUCCESS_MARKS = {Result.DONE: ("✓", "green"), Result.ACCEPTED: ("→", "cyan")}
FAILURE_MARK = ("✗", "bold red")


@dataclass(frozen=True, kw_only=True)
class PhotoOutcome:
    """The outcome of one photo; `skipped` if it is from an earlier run."""

    file: str
    result: Result
    skipped: bool = False
    task_id: str | None = None
    status: str | None = None
    saved: Mapping[str, str] = field(default_factory=dict)
    placeholder: Mapping[str, Any] | None = None
    code: str | None = None
    message: str | None = None
    errors: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[str] = ()
    ms: float | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the outcome as a JSON object."""
        return {
            "file": self.file,
            "outcome": str(self.result),
            "skipped": self.skipped,
            "task_id": self.task_id,
            "status": self.status,
            "saved": dict(self.saved),
            "placeholder": self.placeholder,
            "code": self.code,
            "message": self.message,
            "errors": list(self.errors),
            "warnings": list(self.warnings),
        }

    def format_line(self, width: int = 0) -> Text | None:
        """Return the outcome as text, with the name padded to `width` columns; None for a success of an earlier run."""
        mark, style = SUCCESS_MARKS.get(self.result, FAILURE_MARK)
        text = Text.assemble((mark, style), f" {replace_unprintable(self.file):<{width}}")
        if self.result in SUCCESS_MARKS:
            if self.skipped:
                return None
            text.append(f"  {self.task_id}", "dim")
            return text.append(f"  {self._describe_saved()}" if self.result is Result.DONE else "")
        earlier = " (in an earlier run)" if self.skipped else ""
        text.append(f"  {self.code or self.result}", "red").append(f"{earlier}  {self.message or ''}".rstrip())
        for error in self.errors:
            if (message := str(error.get("message", ""))) != self.message:
                text.append(f"\n    {error.get('pointer', '')} {message}".rstrip())
        return text

    def _describe_saved(self) -> str:
        duration = format_duration(self.ms)
        return f"{pluralize(len(self.saved), 'file')} in {duration}" if self.saved else duration


def exit_code_of_batch(outcomes: Iterable[PhotoOutcome], *, is_complete: bool) -> ExitCode:
    """Return the exit code of a batch. A batch that is not complete counts as unavailable."""
    results = {outcome.result for outcome in outcomes}
    if not is_complete:
        results.add(Result.UNAVAILABLE)
    return next((exit_code for result, exit_code in EXIT_CODE_BY_RESULT.items() if result in results), ExitCode.OK)


def format_summary(outcomes: Sequence[PhotoOutcome], *, photos: int, ms: float) -> Text:
    """Return the summary of a batch of `photos` photos in one line."""
    counts = Counter(outcome.result for outcome in outcomes if not outcome.skipped)
    earlier_counts = Counter(outcome.result for outcome in outcomes if outcome.skipped)
    text = Text(f"{pluralize(photos, 'photo')}: ", "bold")
    parts = [
        (f"{counts[result]:,} {result}", SUCCESS_MARKS.get(result, FAILURE_MARK)[1])
        for result in Result
        if counts[result]
    ]
    parts += [
        (
            f"{earlier_counts[result]:,} skipped ({result} in an earlier run)",
            "dim" if result in SUCCESS_MARKS else "red",
        )
        for result in Result
        if earlier_counts[result]
    ]
    if remaining := photos - len(outcomes):
        parts.append((f"{remaining:,} remaining", "yellow"))
    for index, (part, style) in enumerate(parts):
        text.append(", " if index else "").append(part, style)
    return text.append(f" · {format_duration(ms)}", "dim")

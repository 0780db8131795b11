"""A bulk action in the terminal: what it is for, its progress, and how it ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import sleep
from typing import Any, Literal

import typer
from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..client.bulk_models import BulkAccepted, BulkStatus
from ..client.client import Client
from .command import CommandError
from .exit_codes import ExitCode
from .humanize import pluralize, replace_unprintable
from .session import Session

POLL_SECONDS = 1.0
Action = Literal["retry", "cancel", "delete", "reprocess"]
PAST = {"retry": "retried", "cancel": "cancelled", "delete": "deleted", "reprocess": "reprocessed"}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which jobs a bulk action is for."""

    task_ids: Sequence[str] | None = None
    status: Sequence[str] = ()
    kind: str | None = None
    preset: str | None = None
    outdated: bool = False
    since: str | None = None
    until: str | None = None
    to_preset: str | None = None
    """The preset of the new results; None: each job's own."""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the client's method. Raises `CommandError` for a selection of every job."""
        conditions = {
            "status": list(self.status) or None,
            "kind": self.kind,
            "preset": self.preset,
            "outdated": self.outdated or None,
            "since": self.since,
            "until": self.until,
        }
        given = {name: value for name, value in conditions.items() if value is not None}
        if self.task_ids and given:
            raise CommandError("Use either ids of jobs or conditions, not both.")
        if not self.task_ids and not given:
            raise CommandError("Which jobs? Use at least one condition, such as --preset product or --since 30d.")
        return ({"task_ids": list(self.task_ids)} if self.task_ids else given) | {"to_preset": self.to_preset}


def run_bulk(
    session: Session, action: Action, selection: Selection, *, dry_run: bool, yes: bool, detach: bool
) -> ExitCode:
    """Send a bulk action, after a question on a terminal if it changes something, and follow it to its end."""
    arguments = selection.arguments()
    with session.client() as darkroom:
        if not (dry_run or yes) and not _confirm(session, darkroom, action, arguments):
            session.print_note("Nothing was changed.")
            return ExitCode.USAGE
        accepted = darkroom.bulk(action, **arguments, dry_run=dry_run)
        if detach:
            session.print_result(accepted, Text(f"{accepted.bulk_id}  {action} is accepted"))
            return ExitCode.OK
        return show_end(session, follow_bulk(session, darkroom, accepted))


def follow_bulk(session: Session, darkroom: Client, accepted: BulkAccepted) -> BulkStatus:
    """Show the progress of a bulk action on a terminal until it has ended, and return it."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[phase]}"))
    bars = Progress(
        *columns, TimeElapsedColumn(), console=session.notes, transient=True, disable=not sys.stderr.isatty()
    )
    with bars:
        bar = bars.add_task(f"[bold]{accepted.bulk_id}[/]", total=accepted.total, phase="")
        while True:
            status = darkroom.bulk_status(accepted.bulk_id)
            looked_at = status.done + status.skipped + status.failed
            phase = f"{looked_at:,}" + (f" of {status.total:,}" if status.total is not None else "")
            bars.update(bar, completed=looked_at, total=status.total, phase=phase)
            if status.has_ended:
                return status
            sleep(POLL_SECONDS)


def show_end(session: Session, status: BulkStatus) -> ExitCode:
    """Print how a bulk action ended. Jobs that it was not possible for, and a cancelled one, are errors."""
    session.print_result(status, bulk_view(status))
    return ExitCode.JOB_FAILED if status.failed or status.status == "cancelled" else ExitCode.OK


def bulk_view(status: BulkStatus) -> RenderableType:
    """Return the view of a bulk action."""
    past = replace_unprintable(PAST.get(status.action, status.action))
    would = "would be " if status.dry_run else ""
    text = Text.assemble(
        (status.bulk_id, "bold"), f"  {replace_unprintable(status.status)}\n", f"  {_jobs(status.done)} {would}{past}"
    )
    if status.skipped:
        text.append(f"\n  {_jobs(status.skipped)} {'need' if status.skipped != 1 else 'needs'} nothing")
    for code, count in sorted(status.failed_by_code.items()):
        text.append(f"\n  {_jobs(count)} not possible: {replace_unprintable(code)}", "red")
    for failure in status.failures:
        line = f"{failure.task_id}  {failure.message}"
        text.append(f"\n    {replace_unprintable(line)}", "dim")
    return text


def _jobs(count: int) -> str:
    return pluralize(count, "job")


def _confirm(session: Session, darkroom: Client, action: Action, arguments: dict[str, Any]) -> bool:
    """Ask on a terminal, with the number of jobs that a dry run finds. Raises `CommandError` without a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CommandError("This changes many jobs. Use --yes, or look first with --dry-run.")
    counted = follow_bulk(session, darkroom, darkroom.bulk(action, **arguments, dry_run=True))
    return typer.confirm(f"{_jobs(counted.done)} will be {PAST[action]}. Go on?", err=True)

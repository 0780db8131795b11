"""The commands about many jobs: bulk, bulk-status and bulk-cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from ..command import CommandError, command
from ..exit_codes import ExitCode

if TYPE_CHECKING:
    from ..bulk_run import Action
    from ..session import Session

ACTIONS = ("retry", "cancel", "delete", "reprocess")
BulkId = Annotated[str, typer.Argument(help="The id of the bulk action.", metavar="BULK_ID", show_default=False)]
StatusOption = Annotated[
    list[str] | None, typer.Option("--status", help="Only jobs with this status. Repeat it for several.")
]
KindOption = Annotated[str | None, typer.Option("--kind", help="Only jobs of this kind.")]
OutdatedOption = Annotated[
    bool, typer.Option("--outdated", help="Only jobs made by another version of their preset than the present one.")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="Only jobs uploaded since: a time, or how long ago, such as 30d.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Only jobs uploaded before: the same.")]
ToOption = Annotated[
    str | None, typer.Option("--to", help="The preset of the new results; by default each job's own, as it is now.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", "-n", help="Change nothing; count the jobs.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DetachOption = Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")]


@command
def bulk(  # noqa: PLR0913  # typer's options
    session: Session,
    action: Annotated[
        str,
        typer.Argument(help=f"One of {', '.join(ACTIONS)}.", metavar="ACTION", autocompletion=lambda: list(ACTIONS)),
    ],
    task_ids: Annotated[
        list[str] | None, typer.Argument(help="The jobs, instead of conditions.", metavar="[TASK_ID]...")
    ] = None,
    *,
    status: StatusOption = None,
    kind: KindOption = None,
    preset: Annotated[str | None, typer.Option("--preset", "-p", help="Only jobs with this preset.")] = None,
    outdated: OutdatedOption = False,
    since: SinceOption = None,
    until: UntilOption = None,
    to: ToOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    detach: DetachOption = False,
) -> ExitCode:
    """Retry, cancel, delete or reprocess many jobs: those that meet every condition, or those that are named.

    The gateway does it in the background, slowly enough that uploads do not queue behind it.
    """
    if action not in ACTIONS:
        raise CommandError(f"There is no action {action!r}. Use one of: {', '.join(ACTIONS)}.")
    from ..bulk_run import Selection, run_bulk

    selection = Selection(
        task_ids=task_ids,
        status=status or (),
        kind=kind,
        preset=preset,
        outdated=outdated,
        since=since,
        until=until,
        to_preset=to,
    )
    return run_bulk(session, cast("Action", action), selection, dry_run=dry_run, yes=yes, detach=detach)


@command
def bulk_status(
    session: Session,
    bulk_id: BulkId,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Wait until it has ended.")] = False,
) -> ExitCode:
    """Show how far a bulk action has come."""
    from ..bulk_run import bulk_view, follow_bulk, show_end

    with session.client() as darkroom:
        status = darkroom.bulk_status(bulk_id)
        if watch or status.has_ended:
            return show_end(session, follow_bulk(session, darkroom, status) if watch else status)
        session.print_result(status, bulk_view(status))
        return ExitCode.OK


@command
def bulk_cancel(session: Session, bulk_id: BulkId) -> None:
    """Cancel a bulk action. What is done stays done."""
    from ..bulk_run import bulk_view

    with session.client() as darkroom:
        status = darkroom.cancel_bulk(bulk_id)
        session.print_result(status, bulk_view(status))

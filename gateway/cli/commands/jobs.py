"""The commands about jobs: status, jobs, result, retry, reprocess and delete."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..command import CommandError, command
from ..exit_codes import ExitCode
from .bulk import (
    DetachOption,
    DryRunOption,
    OutdatedOption,
    SinceOption,
    StatusOption,
    ToOption,
    UntilOption,
    YesOption,
)

if TYPE_CHECKING:
    from ...client.models import JobStatus
    from ..session import Session

TaskId = Annotated[str, typer.Argument(help="The id of the job.", metavar="TASK_ID", show_default=False)]
STATUSES = ("accepted", "processing", "done", "failed", "dead", "cancelled")
DEFAULT_LIMIT = 20
KINDS = ("previews", "crop", "grayscale", "resize", "process", "image")


@command
def status(
    session: Session,
    task_id: TaskId,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show each change until the job has ended.")] = False,
) -> ExitCode:
    """Show a job stage by stage: waiting time, run time, attempts and worker."""
    from ..timeline import job_view
    from ..watch import watch_job

    with session.client() as darkroom:
        if watch:
            return exit_code_of_job(watch_job(session, darkroom, task_id))
        job = darkroom.status(task_id)
        session.print_result(job, job_view(job))
        return exit_code_of_job(job)


def exit_code_of_job(job: JobStatus) -> ExitCode:
    """Return the exit code for a job: failed, dead and cancelled jobs are errors."""
    return ExitCode.JOB_FAILED if job.has_ended and job.status != "done" else ExitCode.OK


@command
def jobs(
    session: Session,
    *,
    status: Annotated[
        str | None,
        typer.Option(
            help=f"List only jobs with this status: {', '.join(STATUSES)}.", autocompletion=lambda: list(STATUSES)
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help=f"List only jobs of this kind: {', '.join(KINDS)}.", autocompletion=lambda: list(KINDS)),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, help=f"List at most this many jobs; {DEFAULT_LIMIT} by default."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="List every job.")] = False,
) -> None:
    """List jobs, newest first. With --json, each job is one line."""
    if every and limit:
        raise CommandError("Use either --all or --limit, not both.")
    from ..timeline import jobs_table

    with session.client() as darkroom:
        matches = darkroom.jobs(status=status, kind=kind, limit=None if every else limit or DEFAULT_LIMIT + 1)
        listed = matches if every or limit else islice(matches, DEFAULT_LIMIT)
        if session.json:
            for job in listed:
                session.print_result(job, None)
        else:
            rows = list(listed)
            no_rows = "No jobs match." if status or kind else "No jobs yet."
            session.out.print(jobs_table(rows) if rows else no_rows)
        if next(matches, None):
            session.print_note(
                f"Only the newest {DEFAULT_LIMIT} jobs are listed. Use --all to list every job, or --limit N for more."
            )


@command
def retry(session: Session, task_id: TaskId) -> None:
    """Retry a dead job from the stage that failed."""
    from ..timeline import id_line, style_state

    with session.client() as darkroom:
        answer = darkroom.retry(task_id)
        session.print_result(answer, id_line(task_id, style_state(answer.status), " for a retry"))


@command
def reprocess(  # noqa: PLR0913  # typer's options
    session: Session,
    task_id: Annotated[
        str | None,
        typer.Argument(help="The id of one job; without it, the conditions say which jobs.", metavar="[TASK_ID]"),
    ] = None,
    *,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset", "-p", help="Only jobs with this preset; of one job, the preset of the new results, as --to."
        ),
    ] = None,
    to: ToOption = None,
    status: StatusOption = None,
    outdated: OutdatedOption = False,
    since: SinceOption = None,
    until: UntilOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    detach: DetachOption = False,
) -> ExitCode:
    """Make new results of the originals of one job, or of many. The earlier ones stay until the new ones are complete.

    Jobs that are made by the present version of their preset are left as they are, except when one is named.
    """
    if task_id is None:
        from ..bulk_run import Selection, run_bulk

        selection = Selection(
            status=status or (), preset=preset, outdated=outdated, since=since, until=until, to_preset=to
        )
        return run_bulk(session, "reprocess", selection, dry_run=dry_run, yes=yes, detach=detach)
    if status or outdated or since or until or dry_run:
        raise CommandError("Conditions and --dry-run are for many jobs. Leave out either them or the id.")
    from ..timeline import id_line, style_state

    with session.client() as darkroom:
        answer = darkroom.reprocess(task_id, preset=to or preset)
        what = f" with the preset {answer.preset.name}" if answer.preset else " again"
        session.print_result(answer, id_line(task_id, style_state(answer.status), what))
    return ExitCode.OK


@command
def delete(session: Session, task_id: TaskId) -> None:
    """Cancel a job that has not ended, or remove one that has. Its images are deleted in both cases."""
    from ..timeline import id_line

    with session.client() as darkroom:
        darkroom.delete(task_id)
        session.print_result({"task_id": task_id, "deleted": True}, id_line(task_id, "deleted"))


@command
def result(
    session: Session,
    task_id: TaskId,
    *,
    rendition: Annotated[
        str | None,
        typer.Option(
            "--rendition",
            "-r",
            help="The rendition to save, such as small, or a file of it: small@2x.avif. By default the largest.",
        ),
    ] = None,
    format: Annotated[  # noqa: A002  # the query's word
        str | None,
        typer.Option(
            "--format", "-f", help="The format to save, if there are several; by default what every program shows."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file or folder to write to, or - for stdout; by default the current folder."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job has ended.")] = False,
) -> None:
    """Save a rendition of a job, and verify its digest.

    In a folder, the file has the name that the gateway gives it, such as photo-small.jpg. If a different file has that
    name already, the new one is called photo-small (2).jpg. A file named with --output is overwritten.
    """
    to_stdout = output == Path("-")
    if to_stdout and session.json:
        raise CommandError("--output - and --json both write to stdout: use only one of them.")
    from ..humanize import format_bytes
    from ..timeline import id_line

    with session.client() as darkroom:
        job = darkroom.follow_to_end(task_id) if wait else darkroom.status(task_id)
        name = rendition or _largest_rendition(job)
        if to_stdout:
            sys.stdout.buffer.write(darkroom.result(task_id, name, format=format))
            sys.stdout.buffer.flush()
            return
        path = darkroom.save_result(task_id, output, name, format=format)
        facts = {"task_id": task_id, "rendition": name, "file": str(path), "bytes": path.stat().st_size}
        session.print_result(facts, id_line(str(path), format_bytes(path.stat().st_size)))


def _largest_rendition(job: JobStatus) -> str | None:
    """Return the name of the widest rendition. None if there is none yet: then the gateway chooses."""
    return max(job.renditions, key=lambda name: job.renditions[name].width, default=None)

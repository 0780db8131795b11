"""The commands about jobs: status, list, result, retry, delete."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.text import Text

from ...client import Client
from ...client.models import JobStatus
from ..exit_codes import ExitCode
from ..humanize import format_bytes, format_duration
from ..session import CommandError, Session, command
from ..timeline import job_view, jobs_table, style_state

TaskId = Annotated[str, typer.Argument(help="The job's id.", metavar="TASK_ID", show_default=False)]
STATUSES = ("accepted", "processing", "done", "failed", "dead", "cancelled")
DEFAULT_LIMIT = 20
KINDS = ("previews", "crop", "grayscale", "resize")


@command
def status(
    session: Session,
    task_id: TaskId,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay, and show each change, until it has ended.")
    ] = False,
) -> ExitCode:
    """Show a job, stage by stage: how long each waited and ran, how often it was tried, and by whom."""
    with session.client() as darkroom:
        if watch:
            return exit_code_of_job(_watch_job(session, darkroom, task_id))
        job = darkroom.status(task_id)
        session.print_result(job, job_view(job))
        return exit_code_of_job(job)


def exit_code_of_job(job: JobStatus) -> ExitCode:
    """Return how a command ends that was about this job."""
    return ExitCode.JOB_FAILED if job.has_ended and job.status != "done" else ExitCode.OK


def _watch_job(session: Session, darkroom: Client, task_id: str) -> JobStatus:
    states = darkroom.follow(task_id)
    job = next(states)
    if not session.json and sys.stdout.isatty():
        with Live(job_view(job), console=session.out, refresh_per_second=8) as live:
            for job in states:
                live.update(job_view(job))
        return job
    _print_change(session, None, job)
    for changed in states:
        _print_change(session, job, changed)
        job = changed
    if not session.json:
        session.out.print(job_view(job))
    return job


def _print_change(session: Session, before: JobStatus | None, job: JobStatus) -> None:
    """Say the job's new state, or show what is new in it, a line for a stage."""
    if session.json:
        session.print_result(job, None)
        return
    for name, stage in job.stages.items():
        if stage.state != "pending" and (before is None or before.stages[name].state != stage.state):
            ran = f"   ran {format_duration(stage.run_ms)}" if stage.finished_at else ""
            waited = f"waited {format_duration(stage.queue_wait_ms)}"
            session.out.print(Text.assemble(f"{name:<10} ", style_state(f"{stage.state:<8}"), f" {waited}{ran}"))


@command
def jobs(
    session: Session,
    *,
    status: Annotated[
        str | None, typer.Option(help=f"Only: {', '.join(STATUSES)}.", autocompletion=lambda: list(STATUSES))
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help=f"Only: {', '.join(KINDS)}.", autocompletion=lambda: list(KINDS))
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help=f"How many at most; {DEFAULT_LIMIT} by default.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="List every job.")] = False,
) -> None:
    """List jobs, the youngest first. With --json, a line for each."""
    if every and limit:
        raise CommandError("Either --all or --limit.")
    with session.client() as darkroom:
        found = darkroom.jobs(status=status, kind=kind, limit=None if every else limit or DEFAULT_LIMIT + 1)
        shown = found if every or limit else islice(found, DEFAULT_LIMIT)
        if session.json:
            for job in shown:
                session.print_result(job, None)
        else:
            rows = list(shown)
            nothing = "No such job." if status or kind else "No job yet."
            session.out.print(jobs_table(rows) if rows else Text(nothing))
        if next(found, None):
            session.print_note(
                f"These are the youngest {DEFAULT_LIMIT}; there are more. --all lists every job, --limit N so many."
            )


@command
def retry(session: Session, task_id: TaskId) -> None:
    """Try a dead job again, from the stage it died in."""
    with session.client() as darkroom:
        accepted = darkroom.retry(task_id)
        session.print_result(accepted, Text.assemble((task_id, "bold"), "  ", style_state(accepted.status), ", again"))


@command
def delete(session: Session, task_id: TaskId) -> None:
    """Cancel a job that runs, or remove one that has ended. Its images go in both cases."""
    with session.client() as darkroom:
        darkroom.delete(task_id)
        session.print_result({"task_id": task_id, "deleted": True}, Text.assemble((task_id, "bold"), "  deleted"))


@command
def result(
    session: Session,
    task_id: TaskId,
    *,
    rendition: Annotated[str | None, typer.Option("--rendition", "-r", help="By default the main one.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write, or the folder; - for stdout. By default this folder."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job has ended.")] = False,
) -> None:
    """Save a rendition of a job, its bytes compared with their digest.

    In a folder it has the gateway's name, such as photo-small.jpg. Where other bytes have that name, it becomes
    photo-small (2).jpg.
    """
    to_stdout = output == Path("-")
    if to_stdout and session.json:
        raise CommandError("Either the image or JSON goes to stdout.")
    with session.client() as darkroom:
        job = darkroom.follow_to_end(task_id) if wait else darkroom.status(task_id)
        name = rendition or _largest_rendition(job)
        if to_stdout:
            sys.stdout.buffer.write(darkroom.result(task_id, name))
            sys.stdout.buffer.flush()
            return
        path = darkroom.save_result(task_id, output, name)
        facts = {"task_id": task_id, "rendition": name, "file": str(path), "bytes": path.stat().st_size}
        session.print_result(facts, Text.assemble((str(path), "bold"), f"  {format_bytes(path.stat().st_size)}"))


def _largest_rendition(job: JobStatus) -> str | None:
    """Return the rendition that stands for the job; None where that is for the gateway to say."""
    return max(job.renditions, key=lambda name: job.renditions[name].width, default=None)

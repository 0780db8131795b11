"""Watch a job: redraw its view on a terminal, print a line for each change elsewhere."""

from __future__ import annotations

import sys

from rich.live import Live
from rich.text import Text

from ..client import Client
from ..client.models import JobStatus
from .humanize import format_duration
from .session import Session
from .timeline import job_view, style_state


def watch_job(session: Session, darkroom: Client, task_id: str) -> JobStatus:
    """Print each change of a job until it has ended, and return it."""
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
    """Print the changed job: as a JSON document, or a line for each stage whose state changed."""
    if session.json:
        session.print_result(job, None)
        return
    for name, stage in job.stages.items():
        earlier = before.stages.get(name) if before else None
        if stage.state != "pending" and (earlier is None or earlier.state != stage.state):
            run_time = f"   ran {format_duration(stage.run_ms)}" if stage.finished_at else ""
            wait_time = f"waited {format_duration(stage.queue_wait_ms)}"
            session.out.print(
                Text.assemble(f"{name:<10} ", style_state(f"{stage.state:<8}"), f" {wait_time}{run_time}")
            )

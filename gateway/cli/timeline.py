"""A job as a person sees it: what it is of, its stages along a time line, what came of it."""

from __future__ import annotations

from datetime import UTC, datetime

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..client.models import Failure, JobStatus, JobSummary, StageStatus
from .humanize import (
    elapsed_ms,
    format_bytes,
    format_dimensions,
    format_duration,
    format_time,
    pluralize,
    replace_unprintable,
)

STYLES = {
    "accepted": "cyan",
    "pending": "dim",
    "processing": "yellow",
    "running": "yellow",
    "done": "green",
    "failed": "bold red",
    "dead": "bold red",
    "cancelled": "magenta",
}
WAIT, RUN = "·", "━"
COLUMNS = 32  # of the time line
DIGITS = 16  # of a SHA-256: enough to tell two apart


def style_state(word: str) -> Text:
    """Write a state in its colour."""
    return Text(word, STYLES.get(word, ""))


def job_view(job: JobStatus) -> RenderableType:
    """Show a whole job."""
    parts: list[RenderableType] = [_heading(job), Text(""), _stages(job)]
    parts += [Text(f"{name}: {error}", "yellow") for name, error in _find_stage_errors(job).items()]
    if job.failure:
        parts += [Text(""), failure_text(job.failure)]
    if job.renditions:
        parts += [Text(""), _renditions(job)]
    return Group(*parts)


def failure_text(failure: Failure) -> Text:
    """Say why a job ended without a result, with every rule that was broken."""
    text = Text.assemble((failure.code, "bold red"), f"  {failure.message}")
    for error in failure.errors:
        if (message := str(error.get("message", ""))) != failure.message:
            text.append(f"\n  {error.get('pointer', '')} {message}")
    return text


def jobs_table(jobs: list[JobSummary]) -> Table:
    """Show a list of jobs."""
    table = plain_table("task id", "kind", "status", "created", ">took", "name")
    for job in jobs:
        took = elapsed_ms(job.created_at, job.finished_at) if job.finished_at else None
        name = Text(replace_unprintable(job.name or ""))
        if job.failure:
            name.append(f"  {job.failure.code}", "red")
        table.add_row(
            job.task_id, job.kind, style_state(job.status), format_time(job.created_at), format_duration(took), name
        )
    return table


def plain_table(*headings: str) -> Table:
    """Return a table without lines, for columns whose headings begin with > when they hold numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        is_number = heading.startswith(">")
        table.add_column(
            heading.removeprefix(">"),
            justify="right" if is_number else "left",
            no_wrap=heading != headings[-1],
            overflow="fold",
            header_style="dim",
        )
    return table


def _heading(job: JobStatus) -> Text:
    took = elapsed_ms(job.created_at, job.finished_at)
    heading = Text.assemble((job.task_id, "bold"), "  ", style_state(job.status), f"  {job.kind}")
    facts = [
        replace_unprintable(job.original.name or "an image"),
        format_dimensions(job.original.width, job.original.height),
        format_bytes(job.original.bytes),
        f"created {format_time(job.created_at)}" if job.created_at else "",
        f"{'took' if job.has_ended else 'for'} {format_duration(took)}" if took is not None else "",
        f"sent again {pluralize(job.generation, 'time')}" if job.generation else "",
    ]
    return heading.append("\n" + " · ".join(fact for fact in facts if fact))


def _stages(job: JobStatus) -> Table:
    table = plain_table("stage", "state", ">tries", ">waited", ">ran", f"{'time line':<{COLUMNS}}", "worker")
    start, stop = _bounds(job)
    for name, stage in job.stages.items():
        table.add_row(
            name,
            style_state(stage.state),
            str(stage.attempts or ""),
            format_duration(stage.queue_wait_ms if stage.queued_at else None),
            format_duration(stage.run_ms),
            _bar(stage, start, stop),
            Text(stage.worker or "", "dim"),
        )
    return table


def _find_stage_errors(job: JobStatus) -> dict[str, str]:
    """Return what stages have against going on, beyond what the whole job failed of."""
    job_message = job.failure.message if job.failure else None
    found = {name: stage.error for name, stage in job.stages.items() if stage.state != "done"}
    return {name: error for name, error in found.items() if error and error != job_message}


def _bounds(job: JobStatus) -> tuple[datetime, datetime]:
    """Return the moments between which the time line lies."""
    known = [m for s in job.stages.values() for m in (s.queued_at, s.started_at, s.finished_at) if m is not None]
    now = datetime.now(UTC)
    start = min([moment for moment in (job.created_at, *known) if moment], default=now)
    stop = max(known, default=now) if job.has_ended else max([*known, now])
    return start, stop


def _bar(stage: StageStatus, start: datetime, stop: datetime) -> Text:
    """Draw when a stage waited and when it ran."""
    whole = max((stop - start).total_seconds(), 0.001)

    def column(then: datetime) -> int:
        return min(COLUMNS, round((then - start).total_seconds() / whole * COLUMNS))

    if stage.queued_at is None and stage.started_at is None:
        return Text("")
    began = column(stage.queued_at or stage.started_at or start)
    ran = column(stage.started_at) if stage.started_at else column(stop)
    ran = min(ran, COLUMNS - 1) if stage.started_at else ran
    ended = max(column(stage.finished_at or stop), ran + 1) if stage.started_at else ran
    return Text.assemble(
        " " * min(began, ran), (WAIT * max(0, ran - began), "dim"), (RUN * (ended - ran), STYLES.get(stage.state, ""))
    )


def _renditions(job: JobStatus) -> Table:
    table = plain_table("rendition", ">pixels", "format", ">bytes", "sha-256")
    for name, made in job.renditions.items():
        table.add_row(
            name,
            format_dimensions(made.width, made.height),
            made.format,
            format_bytes(made.bytes),
            Text(f"{made.sha256[:DIGITS]}…", "dim"),
        )
    return table

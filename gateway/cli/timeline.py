"""A job as text: a heading, a table of stages with a timeline, the failure and the renditions."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..client.models import Failure, JobStatus, JobSummary, Placeholder, StageStatus
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
TIMELINE_COLUMNS = 32
HEX_COLOR = re.compile("#[0-9a-f]{6}")
DIGEST_DIGITS = 16  # enough to tell two SHA-256 digests apart


def style_state(word: str) -> Text:
    """Return a state in its colour."""
    return Text(word, STYLES.get(word, ""))


def id_line(name: str, *parts: Text | str) -> Text:
    """Return a line that begins with an id or a path."""
    return Text.assemble((name, "bold"), "  ", *parts)


def job_view(job: JobStatus) -> RenderableType:
    """Return the view of a whole job."""
    parts: list[RenderableType] = [_heading(job), Text(""), _stages(job)]
    parts += [Text(f"{name}: {error}", "yellow") for name, error in _find_stage_errors(job).items()]
    if job.failure:
        parts += [Text(""), failure_text(job.failure)]
    if job.reprocess_failure:
        note = Text("The last reprocessing failed. The results are those from before it.")
        parts += [Text(""), note, failure_text(job.reprocess_failure)]
    if job.renditions:
        parts += [Text(""), _renditions(job)]
    if job.placeholder:
        parts += [Text(""), _placeholder(job.placeholder)]
    return Group(*parts)


def failure_text(failure: Failure) -> Text:
    """Return why a job has no result, with every rule that it broke."""
    text = Text.assemble((failure.code, "bold red"), f"  {failure.message}")
    for error in failure.errors:
        if (message := str(error.get("message", ""))) != failure.message:
            text.append(f"\n  {error.get('pointer', '')} {message}")
    return text


def jobs_table(jobs: list[JobSummary]) -> Table:
    """Return a table of jobs, one row each."""
    table = plain_table("task id", "kind", "status", "created", ">took", "name")
    for job in jobs:
        duration_ms = elapsed_ms(job.reprocessed_at or job.created_at, job.finished_at) if job.finished_at else None
        name = Text(replace_unprintable(job.name or ""))
        if job.failure:
            name.append(f"  {job.failure.code}", "red")
        table.add_row(
            job.task_id,
            job.kind,
            style_state(job.status),
            format_time(job.created_at),
            format_duration(duration_ms),
            name,
        )
    return table


def plain_table(*headings: str) -> Table:
    """Return a table without lines. A heading that begins with > makes its column right-aligned, for numbers."""
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
    duration_ms = elapsed_ms(job.reprocessed_at or job.created_at, job.finished_at)
    dispatches = job.generation - job.revision  # a reprocessing is a dispatch, too
    heading = Text.assemble((job.task_id, "bold"), "  ", style_state(job.status), f"  {job.kind}")
    facts = [
        replace_unprintable(job.original.name or "unnamed image"),
        format_dimensions(job.original.width, job.original.height),
        format_bytes(job.original.bytes),
        f"created {format_time(job.created_at)}" if job.created_at else "",
        "" if duration_ms is None else f"{'took' if job.has_ended else 'so far'} {format_duration(duration_ms)}",
        f"preset {replace_unprintable(job.preset.name)}" if job.preset else "",
        f"dispatched again {pluralize(dispatches, 'time')}" if dispatches > 0 else "",
        f"reprocessed {pluralize(job.revision, 'time')}" if job.revision else "",
    ]
    for line in (facts, _original_facts(job)):
        heading.append("\n" + " · ".join(filter(None, line)) if any(line) else "")
    return heading


def _original_facts(job: JobStatus) -> list[str]:
    """Return what the gateway found in the original, without what every photo has: one frame, and it is upright."""
    original = job.original
    frames, orientation, space = original.frames or 1, original.orientation or 1, original.color_space
    source = f" ({space.source})" if space and space.source not in {"", "none"} else ""
    facts = [
        original.format or "",
        f"{original.bit_depth}-bit" if original.bit_depth else "",
        f"{space.name}{source}" if space else "",
        "alpha" if original.has_alpha else "",
        pluralize(frames, "frame") if frames > 1 else "",
        f"orientation {orientation}" if orientation > 1 else "",
        "with GPS position" if original.has_gps else "",
    ]
    return [replace_unprintable(fact) for fact in facts]


def _stages(job: JobStatus) -> Table:
    table = plain_table("stage", "state", ">attempts", ">waited", ">ran", f"{'timeline':<{TIMELINE_COLUMNS}}", "worker")
    start, stop = _timeline_bounds(job)
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
    """Return the errors of stages that are not done, by stage, without the one that is the job's own failure."""
    job_message = job.failure.message if job.failure else None
    errors = {name: stage.error for name, stage in job.stages.items() if stage.state != "done"}
    return {name: error for name, error in errors.items() if error and error != job_message}


def _timeline_bounds(job: JobStatus) -> tuple[datetime, datetime]:
    """Return the start and the end of the timeline; the end is now while the job is active."""
    times = [t for s in job.stages.values() for t in (s.queued_at, s.started_at, s.finished_at) if t is not None]
    now = datetime.now(UTC)
    start = min([time for time in (job.reprocessed_at or job.created_at, *times) if time], default=now)
    stop = max(times, default=now) if job.has_ended else max([*times, now])
    return start, stop


def _bar(stage: StageStatus, start: datetime, stop: datetime) -> Text:
    """Draw when a stage waited and when it ran. A stage that has started gets at least one column."""
    total_seconds = max((stop - start).total_seconds(), 0.001)

    def column(time: datetime) -> int:
        return min(TIMELINE_COLUMNS, round((time - start).total_seconds() / total_seconds * TIMELINE_COLUMNS))

    if stage.queued_at is None and stage.started_at is None:
        return Text("")
    wait_start = column(stage.queued_at or stage.started_at or start)
    run_start = min(column(stage.started_at), TIMELINE_COLUMNS - 1) if stage.started_at else column(stop)
    run_end = max(column(stage.finished_at or stop), run_start + 1) if stage.started_at else run_start
    return Text.assemble(
        " " * min(wait_start, run_start),
        (WAIT * max(0, run_start - wait_start), "dim"),
        (RUN * (run_end - run_start), STYLES.get(stage.state, "")),
    )


def _renditions(job: JobStatus) -> Table:
    table = plain_table("rendition", ">pixels", "formats", ">bytes", "sha-256")
    for name, rendition in job.renditions.items():
        table.add_row(
            name,
            format_dimensions(rendition.width, rendition.height),
            ", ".join(dict.fromkeys(variant.format for variant in rendition.variants)) or rendition.format,
            format_bytes(rendition.bytes),
            Text(f"{rendition.sha256[:DIGEST_DIGITS]}…", "dim"),
        )
    return table


def _placeholder(placeholder: Placeholder) -> Table:
    table = plain_table("placeholder", "value")
    color = placeholder.color if HEX_COLOR.fullmatch(placeholder.color) else ""
    swatch = Text.assemble(("██ ", color), color)
    table.add_row("color", swatch)
    for name in ("thumbhash", "blurhash"):
        table.add_row(name, Text(replace_unprintable(getattr(placeholder, name))))
    return table

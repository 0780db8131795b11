"""Upload photos and follow their jobs, stage by stage, in a live table or a plain log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.cli.humanize import format_duration
from gateway.client import Client, Problem
from gateway.client.models import JobStatus, StageStatus

COLOURS = {"pending": "dim", "running": "yellow", "done": "green", "failed": "bold red"}
STALL_TIMEOUT_SECONDS = 180

Changes = dict[str, StageStatus]
"""The stages that have another state than before, by name."""


class StallError(Exception):
    """No stage of an unfinished job has changed its state for a long time."""


@dataclass(kw_only=True)
class DemoJob:
    """One photo and its job. `refusal` says why the upload was refused; `status` is the API's latest answer."""

    photo: Path
    task_id: str = ""
    refusal: str = ""
    status: JobStatus | None = None
    submitted_at: float = field(default_factory=time.monotonic)
    ended_at: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds from the upload to the end of the job, or until now."""
        return (self.ended_at or time.monotonic()) - self.submitted_at

    @property
    def stages(self) -> dict[str, StageStatus]:
        """The status of each stage, in the order in which they run."""
        return self.status.stages if self.status else {}


Event = tuple[DemoJob, Changes] | Exception | None
"""What a thread reports: changes of its job, an error, or None once the job has ended."""


def submit_photo(client: Client, photo: Path) -> DemoJob:
    """Upload a photo and return its job. A refusal is in the job, not raised."""
    job = DemoJob(photo=photo)
    try:
        job.task_id = client.upload(photo).task_id
    except Problem as problem:
        job.refusal = problem.detail
    return job


def follow_jobs(client: Client, jobs: Sequence[DemoJob], console: Console) -> None:
    """Follow all jobs to their ends. A terminal shows a live table, a log gets a line for each change."""
    if not console.is_terminal:
        for job, changes in _iterate_changes(client, jobs):
            for name, stage in changes.items():
                _print_change(job, name, stage, console)
        return
    with Live(
        console=console,
        get_renderable=lambda: Group(*(_table(job) for job in jobs if job.stages)),
        refresh_per_second=12,
    ):
        for _ in _iterate_changes(client, jobs):
            pass


def _iterate_changes(client: Client, jobs: Sequence[DemoJob]) -> Iterator[tuple[DemoJob, Changes]]:
    """Follow each job in a thread of its own. Yield the stages whose state has changed. Raise what a thread raises."""
    events: SimpleQueue[Event] = SimpleQueue()
    threads = [Thread(target=_follow, args=(client, job, events), daemon=True) for job in jobs if job.task_id]
    for thread in threads:
        thread.start()
    unfinished = len(threads)
    while unfinished:
        try:
            event = events.get(timeout=STALL_TIMEOUT_SECONDS)
        except Empty:
            raise StallError(f"Nothing has happened for {STALL_TIMEOUT_SECONDS} s.") from None
        if isinstance(event, Exception):
            raise event
        if event is None:
            unfinished -= 1
        else:
            yield event


def _follow(client: Client, job: DemoJob, events: SimpleQueue[Event]) -> None:
    states: dict[str, str] = {}
    try:
        for status in client.follow(job.task_id):
            job.status = status
            changes = {name: stage for name, stage in job.stages.items() if stage.state != states.get(name, "pending")}
            states = {name: stage.state for name, stage in job.stages.items()}
            if changes:
                events.put((job, changes))
        job.ended_at = time.monotonic()
        events.put(None)
    except Exception as error:  # noqa: BLE001  # the main thread raises it
        events.put(error)


def _table(job: DemoJob) -> Table:
    done = sum(stage.state == "done" for stage in job.stages.values())
    title = f"{job.photo.name}  {done}/{len(job.stages)}  {job.seconds:.1f} s"
    table = Table(title=Text(title, "bold"), title_justify="left", min_width=54)
    for heading in ("stage", "state", "queue wait", "run time"):
        table.add_column(heading, justify="right" if " " in heading else "left")
    for name, stage in job.stages.items():
        state = Text(stage.state, COLOURS.get(stage.state, ""))
        table.add_row(name, state, format_duration(stage.queue_wait_ms), format_duration(stage.run_ms))
    return table


def _print_change(job: DemoJob, name: str, stage: StageStatus, console: Console) -> None:
    line = f"{job.photo.name}  {name:<10} {stage.state:<8} waited {format_duration(stage.queue_wait_ms):>8}"
    if stage.state != "running":
        line += f"   ran {format_duration(stage.run_ms):>8}"
    console.print(line, soft_wrap=True, markup=False)

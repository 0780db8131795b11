"""Jobs on their way through the pipeline, stage by stage, in a terminal or a plain log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

END_STATUSES = {"done", "failed", "dead", "cancelled"}
COLOURS = {"pending": "dim", "running": "yellow", "done": "green", "failed": "bold red"}
POLL_SECONDS = 0.1
STALL_TIMEOUT_SECONDS = 180  # without anything happening


class StallError(Exception):
    """Nothing has happened to the unfinished jobs for a long time."""


@dataclass(kw_only=True)
class DemoJob:
    """One photo on its way; `status` is what the API last said about it."""

    photo: Path
    task_id: str = ""
    refusal: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    began: float = 0.0
    seconds: float = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return bool(self.refusal) or self.status.get("status") in END_STATUSES

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        """Each stage's record, in the order they run."""
        return self.status.get("stages", {})  # type: ignore[no-any-return]


def submit_photo(client: httpx.Client, photo: Path) -> DemoJob:
    """Upload a photo; return its job, which may be a refusal already."""
    job = DemoJob(photo=photo, began=time.monotonic())
    with photo.open("rb") as file:
        answer = client.post("/upload", files={"file": (photo.name, file)})
    if answer.is_success:
        job.task_id = answer.json()["task_id"]
    else:
        job.refusal = describe_problem(answer)
    return job


def describe_problem(answer: httpx.Response) -> str:
    """Return what an error answer says, for a person."""
    try:
        problem = answer.json()
    except ValueError:
        return f"{answer.status_code} {answer.reason_phrase}"
    return str(problem.get("detail") or problem.get("title") or answer.reason_phrase)


def follow_jobs(client: httpx.Client, jobs: Sequence[DemoJob], console: Console) -> None:
    """Follow the jobs to their ends: a live table on a terminal, else a line for each step."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=12) as live:
            for _ in _poll_until_ended(client, jobs):
                live.update(Group(*(_table(job) for job in jobs if job.stages)))
    else:
        printed_states: dict[tuple[str, str], str] = {}
        for _ in _poll_until_ended(client, jobs):
            for job in jobs:
                _print_changes(job, printed_states, console)


def _poll_until_ended(client: httpx.Client, jobs: Sequence[DemoJob]) -> Iterator[None]:
    """Ask about every unfinished job, again and again; yields after each round, the last one included."""
    before, since = "", time.monotonic()
    while True:
        for job in jobs:
            if not job.has_ended:
                _refresh(client, job)
        yield
        if all(job.has_ended for job in jobs):
            return
        now = repr([[stage["state"] for stage in job.stages.values()] for job in jobs])
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > STALL_TIMEOUT_SECONDS:
            raise StallError(f"Nothing has happened for {STALL_TIMEOUT_SECONDS} s.")
        time.sleep(POLL_SECONDS)


def _refresh(client: httpx.Client, job: DemoJob) -> None:
    job.status = client.get(f"/task-status/{job.task_id}").raise_for_status().json()
    job.seconds = time.monotonic() - job.began


def _table(job: DemoJob) -> Table:
    done = sum(stage["state"] == "done" for stage in job.stages.values())
    title = f"{job.photo.name}  {done}/{len(job.stages)}  {job.seconds:.1f} s"
    table = Table(title=Text(title, "bold"), title_justify="left", min_width=54)
    for heading in ("stage", "state", "queue wait", "run time"):
        table.add_column(heading, justify="right" if " " in heading else "left")
    for name, stage in job.stages.items():
        style = COLOURS.get(stage["state"], "")
        table.add_row(
            name, f"[{style}]{stage['state']}[/]", _format_ms(stage, "queue_wait_ms"), _format_ms(stage, "run_ms")
        )
    return table


def _print_changes(job: DemoJob, printed_states: dict[tuple[str, str], str], console: Console) -> None:
    for name, stage in job.stages.items():
        step = stage["state"]
        if step == "pending" or printed_states.get((job.task_id, name)) == step:
            continue
        printed_states[job.task_id, name] = step
        spans = f"waited {_format_ms(stage, 'queue_wait_ms'):>8}"
        if step != "running":
            spans += f"   ran {_format_ms(stage, 'run_ms'):>8}"
        console.print(f"{job.photo.name}  {name:<10} {step:<8} {spans}", soft_wrap=True, markup=False)


def _format_ms(stage: dict[str, Any], field: str) -> str:
    milliseconds = stage.get(field)
    return "" if milliseconds is None else f"{milliseconds:,} ms"

"""Progress bars on stderr, one for each photo on its way and one for all; without a terminal, none."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..client.models import JobStatus
from ..client.retry import CallError
from .humanize import format_bytes, format_duration, replace_unprintable
from .photos import Photo
from .session import describe_error

SENT, MADE = 0.4, 0.9
"""How far along a photo is once it is sent, and once its renditions are made."""
LABEL, PHASE = 36, 28
FRAME_SECONDS = 0.125
NOTICE_INTERVAL_SECONDS = 3.0
"""Between two notices of the same failure: many photos meet it at once."""


class ProgressBars:
    """The bars of one batch; a context manager."""

    def __init__(self, console: Console, photos: int, *, follows_jobs: bool) -> None:
        """Show on this console how far each of so many photos is: sent, or where jobs are followed all the way."""
        self._console = console
        self._follows_jobs = follows_jobs
        self._last_notice: tuple[str, float] = ("", 0.0)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[phase]}", style="dim", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not sys.stderr.isatty(),  # which FORCE_COLOR does not change
            redirect_stdout=sys.stdout.isatty(),  # JSON on a terminal goes above the bars
            auto_refresh=False,  # a thread of its own would write between the lines of the results
        )
        self._total = self._progress.add_task(f"[bold]{'all':<{LABEL}}[/]", total=photos, phase=self._count(0, photos))
        self._photos = photos
        self._ended = 0

    @staticmethod
    def _count(ended: int, photos: int) -> str:
        return f"{f'{ended:,} of {photos:,}':<{PHASE}}"

    @contextmanager
    def bar(self, photo: Photo) -> Iterator[_Bar]:
        """Show a photo while it is on its way."""
        label = replace_unprintable(photo.display_name)
        label = label if len(label) <= LABEL else f"…{label[1 - LABEL :]}"
        task = self._progress.add_task(escape(f"{label:<{LABEL}}"), total=1.0, phase="")
        try:
            yield _Bar(self._progress, task, self._follows_jobs)
        finally:
            self._progress.remove_task(task)

    async def refresh_forever(self) -> None:
        """Draw the bars again and again, until cancelled."""
        while not self._progress.disable:
            self._progress.refresh()
            await asyncio.sleep(FRAME_SECONDS)

    def count(self) -> None:
        """Count a photo that has ended."""
        self._ended += 1
        self._progress.update(self._total, completed=self._ended, phase=self._count(self._ended, self._photos))
        self._progress.refresh()

    def on_retry(self, failure: CallError, pause: float) -> None:
        """Say why nothing moves, and when there will be another attempt."""
        sentence, (before, printed_at) = describe_error(failure), self._last_notice
        if sentence != before or monotonic() - printed_at > NOTICE_INTERVAL_SECONDS:
            self._last_notice = (sentence, monotonic())
            self._console.print(
                Text(f"{sentence} Trying again in {format_duration(pause * 1000)}.", "yellow"), soft_wrap=True
            )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class _Bar:
    def __init__(self, progress: Progress, task: TaskID, follows_jobs: bool) -> None:
        self._progress = progress
        self._task = task
        self._sent = SENT if follows_jobs else 1.0

    def show_sent(self, count: int, total: int) -> None:
        self._show(self._sent * count / max(total, 1), f"uploading {format_bytes(count)} / {format_bytes(total)}")

    def show_job(self, job: JobStatus) -> None:
        running = [name for name, stage in job.stages.items() if stage.state == "running"]
        phase = ", ".join(running) or ("waiting" if not job.has_ended else job.status)
        self._show(SENT + (MADE - SENT) * job.progress, phase)

    def show_saving(self) -> None:
        self._show(MADE, "saving")

    def _show(self, completed: float, phase: str) -> None:
        self._progress.update(self._task, completed=completed, phase=f"{phase[:PHASE]:<{PHASE}}")

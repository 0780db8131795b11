"""Progress bars on stderr: one for each photo in progress, and one for the batch. None without a terminal."""

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
from .errors import describe_error
from .humanize import format_bytes, format_duration, replace_unprintable
from .photos import Photo

UPLOADED_SHARE, PROCESSED_SHARE = 0.4, 0.9
"""The progress of a photo when its upload is complete, and when its job is done."""
LABEL_COLUMNS, PHASE_COLUMNS = 36, 28
FRAME_SECONDS = 0.125
NOTICE_INTERVAL_SECONDS = 3.0
"""The pause between two notices of the same failure, because many photos meet it at once."""


class ProgressBars:
    """The progress bars of one batch, as a context manager."""

    def __init__(self, console: Console, photos: int, *, follows_jobs: bool) -> None:
        """Prepare the bars for so many photos. With `follows_jobs`, a bar ends with the job, else with the upload."""
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
            disable=not sys.stderr.isatty(),  # FORCE_COLOR does not change this
            redirect_stdout=sys.stdout.isatty(),  # on a terminal, print JSON above the bars
            auto_refresh=False,  # rich's own thread would write between the lines of the results
        )
        self._total = self._progress.add_task(
            f"[bold]{'all':<{LABEL_COLUMNS}}[/]", total=photos, phase=self._format_count(0, photos)
        )
        self._photos = photos
        self._ended = 0

    @staticmethod
    def _format_count(ended: int, photos: int) -> str:
        return f"{f'{ended:,} of {photos:,}':<{PHASE_COLUMNS}}"

    @contextmanager
    def bar(self, photo: Photo) -> Iterator[_Bar]:
        """Show the bar of a photo inside the block."""
        label = replace_unprintable(photo.display_name)
        label = label if len(label) <= LABEL_COLUMNS else f"…{label[1 - LABEL_COLUMNS :]}"
        task = self._progress.add_task(escape(f"{label:<{LABEL_COLUMNS}}"), total=1.0, phase="")
        try:
            yield _Bar(self._progress, task, self._follows_jobs)
        finally:
            self._progress.remove_task(task)

    async def refresh_forever(self) -> None:
        """Redraw the bars every `FRAME_SECONDS` until cancelled."""
        while not self._progress.disable:
            self._progress.refresh()
            await asyncio.sleep(FRAME_SECONDS)

    def count(self) -> None:
        """Count one more photo as ended."""
        self._ended += 1
        self._progress.update(self._total, completed=self._ended, phase=self._format_count(self._ended, self._photos))
        self._progress.refresh()

    def expect(self, photos: int) -> None:
        """Count more photos as those of the batch."""
        self._photos += photos
        self._progress.update(self._total, total=self._photos, phase=self._format_count(self._ended, self._photos))

    def on_retry(self, failure: CallError, pause: float) -> None:
        """Print the failure, and the seconds until the next attempt."""
        sentence, (last_sentence, printed_at) = describe_error(failure), self._last_notice
        if sentence != last_sentence or monotonic() - printed_at > NOTICE_INTERVAL_SECONDS:
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
        self._uploaded_share = UPLOADED_SHARE if follows_jobs else 1.0

    def show_sent(self, count: int, total: int) -> None:
        self._show(
            self._uploaded_share * count / max(total, 1), f"uploading {format_bytes(count)} / {format_bytes(total)}"
        )

    def show_job(self, job: JobStatus) -> None:
        running = [name for name, stage in job.stages.items() if stage.state == "running"]
        phase = ", ".join(running) or ("waiting" if not job.has_ended else job.status)
        self._show(UPLOADED_SHARE + (PROCESSED_SHARE - UPLOADED_SHARE) * job.progress, phase)

    def show_saving(self) -> None:
        self._show(PROCESSED_SHARE, "saving")

    def _show(self, completed: float, phase: str) -> None:
        self._progress.update(self._task, completed=completed, phase=f"{phase[:PHASE_COLUMNS]:<{PHASE_COLUMNS}}")

"""`./run demo`: send photos through a throwaway stack and save their previews."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.local.demo_jobs import DemoJob, StallError, follow_jobs, submit_photo
from deploy.local.folders import FolderUnusable, check_free_space, check_temporary_folder, prepare_folder
from deploy.local.previews import Preview, check_preview
from deploy.local.progress import StartProgress
from deploy.local.sample import draw_sample
from deploy.local.stack import Stack
from deploy.local.supervisord_control import STACK_MIN_FREE_BYTES, StackError
from gateway.cli.console import PlainTextConsole
from gateway.cli.humanize import format_bytes, format_dimensions, format_duration
from gateway.client import Client, Problem, RetryPolicy
from gateway.client.filenames import image_extension

RENDITIONS = ("small", "medium", "large")
OUTPUT = "darkroom-demo"
OUTPUT_BYTES = 8 << 20  # enough for the previews of a few photos
PAGE = 110  # columns, if the output is not a terminal
EXIT_OK, EXIT_INCOMPLETE, EXIT_USAGE, INTERRUPTED = 0, 1, 2, 130


def run_demo(photos: Sequence[Path], here: Path) -> int:
    """Run the demo and return the exit status. Errors are printed in one line, if possible before the stack starts."""
    console = PlainTextConsole()
    if not console.is_terminal:
        console.width = PAGE
    try:
        if not _can_read_all(photos):
            return EXIT_USAGE
        check_temporary_folder()
        prepare_folder(here / OUTPUT, min_free_bytes=OUTPUT_BYTES)
        return demonstrate(photos, here, console)
    except KeyboardInterrupt:
        console.print("Interrupted; everything is stopped and removed.")
        return INTERRUPTED
    except (StackError, FolderUnusable, StallError, Problem, httpx.HTTPError) as error:
        console.print(Text(str(error) or type(error).__name__, "red"), soft_wrap=True)
    except OSError as error:
        console.print(
            Text(": ".join(filter(None, (error.filename, error.strerror))) or str(error), "red"), soft_wrap=True
        )
    finally:
        with suppress(OSError):
            (here / OUTPUT).rmdir()  # only if it is empty
    return EXIT_INCOMPLETE


def _can_read_all(photos: Iterable[Path]) -> bool:
    unreadable = [photo for photo in photos if not photo.is_file() or not os.access(photo, os.R_OK)]
    for photo in unreadable:
        reason = "cannot be read" if photo.is_file() else "does not exist"
        print(f"The photo {photo} {reason}.", file=sys.stderr)
    return not unreadable


def demonstrate(photos: Sequence[Path], here: Path, console: Console) -> int:
    """Process the photos in a stack of their own, save and describe the previews. Return the exit status."""
    began = time.monotonic()
    with _temporary_folder() as folder:
        if not photos:
            console.print(
                "No photo given: drawing one of 12 megapixels, stored rotated by 90 degrees, with a GPS position."
            )
            photos = [draw_sample(folder / "sample.jpg")]
        console.print(
            "Starting Redis, Mongo, the gateway and five workers ... (10 s, on a slow or busy machine a minute)",
            soft_wrap=True,
        )
        stack = Stack(folder / "stack", pools={"resize": 2})
        stack.observer = progress = StartProgress(console)
        with stack:
            console.print(f"Ready after {progress.seconds:.1f} s.\n")
            complete = _process_photos(stack.url, photos, here, console)
            console.print()
    console.print(f"Everything except the previews is stopped and removed. It took {time.monotonic() - began:.0f} s.")
    return EXIT_OK if complete else EXIT_INCOMPLETE


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Create a folder with enough space for a stack. Remove it at the end, even if an interrupt stops the first try."""
    folder = Path(tempfile.mkdtemp(prefix="darkroom-demo-"))
    try:
        check_free_space(folder, STACK_MIN_FREE_BYTES)
        yield folder
    finally:
        try:
            shutil.rmtree(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _process_photos(url: str, photos: Sequence[Path], here: Path, console: Console) -> bool:
    """Upload the photos, follow their jobs, save the previews. Return whether every photo has all its previews."""
    is_complete = True
    with Client(url, timeout=60, retry_policy=RetryPolicy(seconds=0)) as client:
        jobs = [submit_photo(client, photo) for photo in photos]
        follow_jobs(client, jobs, console)
        for job, stem in zip(jobs, _unique_stems(photos), strict=True):
            previews = _save_previews(client, job, here / OUTPUT / stem)
            _print_result(job, previews, here, console)
            is_complete &= {preview.name for preview in previews} >= set(RENDITIONS)
    return is_complete


def _unique_stems(photos: Iterable[Path]) -> list[str]:
    """Return a file name stem for the previews of each photo. Photos with the same name get numbers."""
    stems: list[str] = []
    for photo in photos:
        same_name = sum(stem == photo.stem or stem.startswith(f"{photo.stem}~") for stem in stems)
        stems.append(f"{photo.stem}~{same_name + 1}" if same_name else photo.stem)
    return stems


def _save_previews(client: Client, job: DemoJob, stem: Path) -> list[Preview]:
    if job.status is None or job.status.status != "done":
        return []
    previews = []
    for name, rendition in job.status.renditions.items():
        path = stem.with_name(f"{stem.name}-{name}.{image_extension(rendition.format)}")
        client.save_result(job.task_id, path, name)
        previews.append(check_preview(path, name=name, photo=job.photo))
    return previews


def _print_result(job: DemoJob, previews: Sequence[Preview], here: Path, console: Console) -> None:
    console.print()
    if not previews:
        console.print(Text(f"{job.photo.name}: {_explain_failure(job)}", "red"), soft_wrap=True)
        return
    title = Text(f"{job.photo.name}: {len(previews)} previews in {job.seconds:.2f} s", "bold")
    console.print(title)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("preview", "pixels", "size", "made in", "checked"):
        table.add_column(heading, justify="left" if heading in {"preview", "checked"} else "right", overflow="fold")
    for preview in previews:
        width, height = preview.size
        made_in = format_duration(job.stages[preview.name].run_ms)
        path = Text(str(preview.path.relative_to(here)))
        table.add_row(
            path,
            format_dimensions(width, height),
            format_bytes(preview.bytes),
            made_in,
            ", ".join(preview.passed_checks),
        )
    console.print(table)


def _explain_failure(job: DemoJob) -> str:
    if job.status is None:
        return job.refusal
    failure = job.status.failure
    return (failure and failure.message) or f"the job is {job.status.status}"

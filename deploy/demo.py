"""Send photos through a throwaway Darkroom and save their previews."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.control import StackError
from deploy.interrupts import interrupted_once
from deploy.previews import Preview, save_preview
from deploy.sample import draw_sample
from deploy.stack import Stack
from deploy.watch import Job, Stalled, submit, watch

RENDITIONS = ("small", "medium", "large")
PAGE = 110  # columns where there is no terminal to ask
ALL_WELL, NOT_ALL, USAGE, INTERRUPTED = 0, 1, 2, 130


def main() -> int:
    """Demonstrate; the exit status."""
    options = _options()
    here = options.directory.resolve()
    photos = [here / photo for photo in options.photos]
    missing = [photo for photo in photos if not photo.is_file()]
    for photo in missing:
        print(f"There is no photo at {photo}.", file=sys.stderr)
    if missing:
        return USAGE
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PAGE
    with interrupted_once():
        try:
            return demonstrate(photos, here, console)
        except KeyboardInterrupt:
            console.print("Interrupted; everything is stopped and removed.")
            return INTERRUPTED
        except (StackError, Stalled, httpx.HTTPError, OSError) as error:
            console.print(Text(str(error), "red"), soft_wrap=True)
            return NOT_ALL


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run demo", description=__doc__)
    parser.add_argument("photos", nargs="*", type=Path, metavar="PHOTO", help="a photo file; without any, one is drawn")
    parser.add_argument("--directory", type=Path, default=Path(), help=argparse.SUPPRESS)  # the caller's
    return parser.parse_args()


def demonstrate(photos: Sequence[Path], here: Path, console: Console) -> int:
    """Run the photos through a stack of their own, and save and describe what comes out; the exit status."""
    with tempfile.TemporaryDirectory(prefix="darkroom-demo-") as temporary:
        folder = Path(temporary)
        if not photos:
            console.print("No photo given: drawing one, of 12 megapixels, stored on its side, with a GPS position.")
            photos = [draw_sample(folder / "sample.jpg")]
        began = time.monotonic()
        console.print("Starting Redis, Mongo, the gateway and five workers ...")
        with Stack(folder / "stack", pools={"resize": 2}) as stack:
            console.print(f"Ready after {time.monotonic() - began:.1f} s.\n")
            complete = _develop(stack.url, photos, here, console)
        console.print("Everything is stopped, its temporary folder removed.")
    return ALL_WELL if complete else NOT_ALL


def _develop(url: str, photos: Sequence[Path], here: Path, console: Console) -> bool:
    """Whether every photo has all its previews."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        jobs = [submit(client, photo) for photo in photos]
        watch(client, jobs, console)
        previews = {}
        for job, stem in zip(jobs, _stems(photos), strict=True):
            previews[stem] = _save(client, job, here / "darkroom-demo" / stem)
            _conclude(job, previews[stem], here, console)
    return all({preview.name for preview in made} >= set(RENDITIONS) for made in previews.values())


def _stems(photos: Iterable[Path]) -> list[str]:
    """Name each photo's previews; photos of one name get numbers."""
    stems: list[str] = []
    for photo in photos:
        others = sum(stem == photo.stem or stem.startswith(f"{photo.stem}~") for stem in stems)
        stems.append(f"{photo.stem}~{others + 1}" if others else photo.stem)
    return stems


def _save(client: httpx.Client, job: Job, stem: Path) -> list[Preview]:
    if job.refusal or job.status["status"] != "done":
        return []
    return [
        save_preview(client, rendition, name=name, photo=job.photo, path=stem.with_name(f"{stem.name}-{name}"))
        for name, rendition in job.status["renditions"].items()
    ]


def _conclude(job: Job, previews: Sequence[Preview], here: Path, console: Console) -> None:
    console.print()
    if not previews:
        console.print(Text(f"{job.photo.name}: {_reason(job)}", "red"), soft_wrap=True)
        return
    title = Text(f"{job.photo.name}: {len(previews)} previews in {job.seconds:.2f} s", "bold")
    console.print(title)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("preview", "pixels", "bytes", "made in", "checked"):
        table.add_column(heading, justify="left" if heading in {"preview", "checked"} else "right", overflow="fold")
    for preview in previews:
        width, height = preview.size
        made_in = f"{job.stages[preview.name]['run_ms']:,} ms"
        path = Text(str(preview.path.relative_to(here)))
        table.add_row(path, f"{width} x {height}", f"{preview.bytes:,}", made_in, ", ".join(preview.findings))
    console.print(table)


def _reason(job: Job) -> str:
    failure = job.status.get("failure") or {}
    return job.refusal or failure.get("message") or f"the job is {job.status['status']}"


if __name__ == "__main__":
    sys.exit(main())

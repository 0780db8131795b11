"""python -P direct_own.py FOLDER [PASSES]: the stages of the checkout in the current folder, on each photo of a folder.

It prints the CPU of each stage. Nothing but the stages is imported, so that another checkout can run it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.limits import Limits
from stages.normalize import build_master_pyramid
from stages.placeholder import build_placeholder
from stages.rendition_spec import RenditionSpec
from stages.resize import resize
from stages.validate import validate

QUALITY = 82
SPECS = {name: RenditionSpec(edge=edge, quality={"jpeg": QUALITY}) for name, edge in (("small", 160), ("medium", 640))}
SPECS |= {"large": RenditionSpec(edge=1600, quality={"jpeg": QUALITY})}


class Clock:
    """The CPU of each stage so far, in milliseconds."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Count the block."""
        start = time.process_time()
        yield
        self.ms[stage] = self.ms.get(stage, 0.0) + (time.process_time() - start) * 1000


def make_previews(photo: Path, clock: Clock) -> None:
    """Make and write the three previews, with the master in memory instead of in a blob."""
    limits = Limits()
    with clock.time("validate"):
        facts = validate(photo.read_bytes(), limits=limits)
    with clock.time("normalize"):
        masters = build_master_pyramid(photo.read_bytes(), specs=SPECS, limits=limits)
        *_, (name, smallest) = masters.items()
        build_placeholder(smallest, background=SPECS[name].background)
    for name, master in masters.items():
        with clock.time("resizes"):
            (variant,) = resize(master, SPECS[name], original_size=(facts.width, facts.height), limits=limits)
            photo.with_suffix(f".{name}.preview").write_bytes(variant.rendition.content)


def main(folder: Path, passes: int = 1) -> None:
    """Print the means of all photos, after one that warms up."""
    photos = sorted(folder.glob("*.jpg")) * passes
    make_previews(photos[0], Clock())
    clock = Clock()
    for photo in photos:
        make_previews(photo, clock)
    cpu_ms = {stage: ms / len(photos) for stage, ms in clock.ms.items()}
    json.dump({"cpu_ms": {"all": sum(cpu_ms.values())} | cpu_ms}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

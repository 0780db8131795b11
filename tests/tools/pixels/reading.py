"""What one program makes of a file: small views of what it shows, or why it shows nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from PIL import Image

BACKGROUNDS = {"black": (0, 0, 0), "white": (255, 255, 255)}
"""A view is what is seen over one of them: a pixel is the same over both only if it is opaque."""
REFUSED = "refused"
"""The code of an oracle that knows this kind of file, and shows nothing of it."""
Views = tuple[Image.Image, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Size as displayed and an RGB view over each background; or the code and message of a refusal, or a fault.

    `views` are of the whole file, `preview` of the largest preview, if this program makes previews. `is_partial` says
    that a part of the pixels is missing. A fault is a crash, a time-out, an exception or too much memory.
    """

    width: int = 0
    height: int = 0
    views: Views = field(default=(), compare=False)
    preview: Views = field(default=(), compare=False)
    is_partial: bool = False
    code: str = ""
    message: str = ""
    fault: str = ""

    @property
    def is_shown(self) -> bool:
        """Whether there are pixels to compare."""
        return bool(self.views)


class Program(Protocol):
    """Ours, or an oracle. `formats` are those whose refusal by this program means something."""

    name: str
    formats: frozenset[str]

    def read(self, files: Iterable[Path]) -> Iterator[tuple[Path, Reading]]:
        """Yield one reading for each file, in any order."""
        ...


def make_views(image: Image.Image, size: tuple[int, int]) -> Views:
    """Lay an RGB or RGBA image over each background, and average its pixels down to `size`."""
    return tuple(reduce_view(_lay_over(image, colour), size) for colour in BACKGROUNDS.values())


def reduce_view(view: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale down by averaging: the result does not depend on how sharp a program's own filter is."""
    return view if size == view.size else view.resize(size, Image.Resampling.BOX)


def _lay_over(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    if image.mode == "RGB":
        return image
    result = Image.new("RGB", image.size, colour)
    result.paste(image, mask=image)
    return result


def save_reading(reading: Reading, folder: Path) -> None:
    """Write a reading into a folder of its own, for another process."""
    folder.mkdir()
    for name in ("views", "preview"):
        for index, view in enumerate(getattr(reading, name)):
            view.save(folder / f"{name}{index}.ppm")
    (folder / "facts.json").write_text(json.dumps(asdict(replace(reading, views=(), preview=()))), encoding="utf-8")


def load_reading(folder: Path) -> Reading:
    """Read what `save_reading` wrote."""
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    return Reading(**{**facts, "views": _load_views(folder, "views"), "preview": _load_views(folder, "preview")})


def _load_views(folder: Path, name: str) -> Views:
    return tuple(map(_load_view, sorted(folder.glob(f"{name}*.ppm"))))


def _load_view(path: Path) -> Image.Image:
    with Image.open(path) as view:
        view.load()
    return view

"""python vips.py MODE FOLDER: make three previews of every photo of a folder; print the CPU ms of one photo.

MODE `each` decodes the photo for each preview, as an image proxy does; `once` makes the smaller ones from the larger.
It runs in an environment of its own, which has pyvips and nothing of this checkout.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pyvips

EDGES = (1600, 640, 160)
SHRINKS = (8, 4, 2, 1)


def each(photo: Path) -> None:
    """Decode for each preview."""
    for edge in EDGES:
        _save(_thumbnail(_open(photo, edge), edge), photo, edge)


def once(photo: Path) -> None:
    """Decode once."""
    image = _open(photo, EDGES[0])
    for edge in EDGES:
        image = _thumbnail(image, edge).copy_memory()
        _save(image, photo, edge)


def _open(photo: Path, edge: int) -> pyvips.Image:
    """Let the decoder shrink as far as it can: `thumbnail` would let it stop at twice the size."""
    header = pyvips.Image.new_from_file(str(photo))
    shrink = next(each for each in SHRINKS if max(header.width, header.height) // each >= edge)
    return pyvips.Image.new_from_file(str(photo), shrink=shrink, access="sequential", fail_on="error")


def _thumbnail(image: pyvips.Image, edge: int) -> pyvips.Image:
    # Without an embedded profile, a conversion would take the pixels for another space, and five times as long.
    profile = {"export_profile": "srgb"} if image.get_typeof("icc-profile-data") else {}
    return image.thumbnail_image(edge, height=edge, size="down", **profile)


def _save(image: pyvips.Image, photo: Path, edge: int) -> None:
    image.jpegsave(str(photo.with_suffix(f".{edge}.preview")), Q=82, keep="none")


def main(mode: str, folder: Path) -> None:
    """Print the mean of all photos, after one that warms up."""
    make = {"each": each, "once": once}[mode]
    pyvips.cache_set_max(0)
    photos = sorted(folder.glob("*.jpg"))
    make(photos[0])
    start = time.process_time()
    for photo in photos:
        make(photo)
    cpu_ms = (time.process_time() - start) * 1000 / len(photos)
    libvips = ".".join(str(pyvips.version(part)) for part in range(3))
    json.dump({"cpu_ms": {"all": cpu_ms}, "versions": {"pyvips": pyvips.__version__, "libvips": libvips}}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

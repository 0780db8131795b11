"""Saved previews and the checks that the demo makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageOps, ImageStat, UnidentifiedImageError

THUMBNAIL_SIZE = (32, 32)
MAX_MEAN_DIFFERENCE = 12
"""Mean difference in grey levels. JPEG and resampling stay far below it, a photo turned the wrong way is far above."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """One saved rendition and the checks that it passed."""

    name: str
    path: Path
    size: tuple[int, int]
    bytes: int
    passed_checks: Sequence[str]


def check_preview(path: Path, *, name: str, photo: Path) -> Preview:
    """Compare a saved preview with its photo, and look for metadata in it."""
    with Image.open(path) as image:
        passed_checks = [*_check_orientation(image, photo), *_check_metadata(image)]
        return Preview(name=name, path=path, size=image.size, bytes=path.stat().st_size, passed_checks=passed_checks)


def _check_metadata(image: Image.Image) -> list[str]:
    return [] if image.getexif() or {"exif", "xmp"} & image.info.keys() else ["no EXIF"]


def _check_orientation(image: Image.Image, photo: Path) -> list[str]:
    """Compare the preview with the photo, turned upright. Return nothing if Pillow cannot read the photo."""
    try:
        with Image.open(photo) as original:
            original.draft("RGB", (1600, 1600))
            upright = ImageOps.exif_transpose(original)
    except (UnidentifiedImageError, OSError):
        return []
    same_shape = abs(image.width * upright.height - image.height * upright.width) <= max(*upright.size, *image.size)
    difference = ImageStat.Stat(ImageChops.difference(_grey_thumbnail(image), _grey_thumbnail(upright))).mean[0]
    return ["upright"] if same_shape and difference < MAX_MEAN_DIFFERENCE else []


def _grey_thumbnail(image: Image.Image) -> Image.Image:
    return image.convert("RGB").resize(THUMBNAIL_SIZE, Image.Resampling.BOX).convert("L")

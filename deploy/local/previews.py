"""Previews saved to files, and looked at once more."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageChops, ImageOps, ImageStat, UnidentifiedImageError

SUFFIXES = {"jpeg": "jpg"}
THUMBNAIL_SIZE = (32, 32)
MAX_MEAN_DIFFERENCE = (
    12  # mean difference in grey levels: what JPEG and resampling change stays far below, a turned photo far above
)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """One saved rendition and what was found out about it."""

    name: str
    path: Path
    size: tuple[int, int]
    bytes: int
    findings: Sequence[str]


def save_preview(client: httpx.Client, rendition: dict[str, Any], *, name: str, photo: Path, path: Path) -> Preview:
    """Download a rendition to `path`, whose suffix becomes the format's."""
    content = client.get(rendition["url"]).raise_for_status().content
    if hashlib.sha256(content).hexdigest() != rendition["sha256"]:
        raise OSError(f"{name} came with other bytes than its checksum says")
    path = path.parent / f"{path.name}.{SUFFIXES.get(rendition['format'], rendition['format'])}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with Image.open(path) as image:
        findings = [*_check_orientation(image, photo), *_check_metadata(image)]
        return Preview(name=name, path=path, size=image.size, bytes=len(content), findings=findings)


def _check_metadata(image: Image.Image) -> list[str]:
    return [] if image.getexif() or {"exif", "xmp"} & image.info.keys() else ["no EXIF"]


def _check_orientation(image: Image.Image, photo: Path) -> list[str]:
    """Compare the preview with the photo as its EXIF orientation says to hold it; nothing if that cannot be told."""
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

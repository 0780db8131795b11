"""Stage one: check that the original is an accepted image. Reads headers only: normalize decodes the pixels, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.decode import open_image

if TYPE_CHECKING:
    from stages.limits import Limits


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The facts of an original: width and height are in pixels as displayed, after its EXIF orientation is applied."""

    format: str
    width: int
    height: int
    mode: str
    frames: int
    orientation: int


def validate(original: bytes, *, limits: Limits) -> ImageFacts:
    """Return the facts of an original within the limits, or raise the StageError that says why it is refused."""
    opened = open_image(original, limits=limits)
    width, height = opened.display_size
    return ImageFacts(opened.format, width, height, opened.image.mode, opened.frames, opened.orientation)

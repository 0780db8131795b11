"""Stage two: the original becomes the master, the upright 8-bit sRGB pixels that all renditions are made from."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from stages.decode import open_image
from stages.limits import Limits
from stages.scale import fitted
from stages.upright import display_size, upright


@dataclass(frozen=True, slots=True)
class Master:
    """Raw pixels: row after row from the top left, 3 (RGB) or 4 (RGBA, straight alpha) bytes each."""

    mode: str
    width: int
    height: int
    pixels: bytes

    def image(self) -> Image.Image:
        """Return the pixels as an image. Raises ValueError if there are too few for the size."""
        return Image.frombuffer(self.mode, (self.width, self.height), self.pixels, "raw", self.mode, 0, 1)


def normalize(original: bytes, *, edge: int, limits: Limits) -> Master:
    """Return the master, its longest side at most `edge` pixels and never enlarged; no metadata survives.

    Raises the StageError that says why the original cannot be decoded.
    """
    opened = open_image(original, limits=limits)
    image = upright(opened, size=fitted(display_size(opened), edge))
    return Master(image.mode, image.width, image.height, image.tobytes())

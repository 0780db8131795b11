"""Stage two: decode the original to the master, the upright 8-bit sRGB pixels of which all renditions are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from stages.decode import open_image
from stages.decode_upright import decode_upright
from stages.limits import Limits
from stages.scale import fit_size, scale

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Master:
    """Raw pixels, row by row from the top left: 3 (RGB) or 4 (RGBA, straight alpha) bytes each."""

    mode: str
    width: int
    height: int
    pixels: bytes

    def image(self) -> Image.Image:
        """Return the pixels as an image. Raises ValueError if there are too few for the size."""
        return Image.frombuffer(self.mode, (self.width, self.height), self.pixels, "raw", self.mode, 0, 1)


def normalize(original: bytes, *, edge: int, limits: Limits) -> Master:
    """Return the master, without metadata, scaled down so that its longest side is at most `edge` pixels.

    Raises the StageError that says why the original cannot be decoded.
    """
    return build_master_pyramid(original, edges=[edge], limits=limits)[edge]


def build_master_pyramid(original: bytes, *, edges: Iterable[int], limits: Limits) -> dict[int, Master]:
    """Decode once, and return a master for each edge, the largest first.

    Each master is scaled down from the next larger one: this costs a tenth of scaling each from the largest, and looks
    the same. Raises as `normalize` does.
    """
    largest, *others = sorted(set(edges), reverse=True)
    opened = open_image(original, limits=limits)
    image = decode_upright(opened, size=fit_size(opened.display_size, largest))
    masters = {largest: _master(image)}
    for edge in others:
        size = fit_size(image.size, edge)
        if size == image.size:
            masters[edge] = next(reversed(masters.values()))
            continue
        image = scale(image, size)
        masters[edge] = _master(image)
    return masters


def _master(image: Image.Image) -> Master:
    return Master(image.mode, image.width, image.height, image.tobytes())

"""Stage two: decode the original to the master, the upright 8-bit sRGB pixels of which all renditions are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageFile

from stages.decode import open_image
from stages.decode_upright import decode_upright
from stages.limits import Limits
from stages.rendition_spec import RenditionSpec
from stages.resize_plan import Size, plan_levels
from stages.scale import scale

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    return build_master_pyramid(original, specs={"": RenditionSpec(edge=edge)}, limits=limits)[""]


def build_master_pyramid(original: bytes, *, specs: Mapping[str, RenditionSpec], limits: Limits) -> dict[str, Master]:
    """Decode once, and return a master for each rendition, in the size of `plan_levels`, the largest first.

    Each master is scaled down from the next larger one: this costs a tenth of scaling each from the largest, and looks
    the same. Renditions of one size share a master. Raises as `normalize` does.
    """
    opened = open_image(original, limits=limits)
    sizes = plan_levels(opened.display_size, specs)
    largest, *others = sorted(set(sizes.values()), key=_area, reverse=True)
    image = decode_upright(opened, size=largest)
    masters = {largest: _master(image)}
    for size in others:
        image = scale(image, size)
        masters[size] = _master(image)
    return {name: masters[size] for name, size in sorted(sizes.items(), key=lambda item: _area(item[1]), reverse=True)}


def _area(size: Size) -> int:
    return size[0] * size[1]


def _master(image: Image.Image) -> Master:
    return Master(image.mode, image.width, image.height, _pack(image))


def _pack(image: Image.Image) -> bytes:
    """Return the pixels, packed in one piece. Pillow joins pieces of MAXBLOCK bytes, which takes as long again."""
    before, ImageFile.MAXBLOCK = ImageFile.MAXBLOCK, len(image.mode) * image.width * image.height
    try:
        return image.tobytes()
    finally:
        ImageFile.MAXBLOCK = before

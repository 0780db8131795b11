"""Decode an opened original to upright 8-bit sRGB pixels; animate decodes the frames of an animation itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from stages.colour.convert import to_srgb
from stages.decode import OpenedImage, decode_pixels, translate_pillow_errors
from stages.depth import to_eight_bit
from stages.orientation import apply_orientation, stored_box, swap_if_sideways
from stages.scale import scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image


def decode_upright(
    opened: OpenedImage, *, size: tuple[int, int] | None = None, box: tuple[int, int, int, int] | None = None
) -> Image.Image:
    """Decode once to upright RGB, or RGBA if a pixel is not opaque, without metadata; scale to `size`; cut out `box`.

    `size` (by default the full size) and `box` are in pixels as displayed; `box` lies in the scaled image. The stored
    image may lie on its side. It is decoded whole, scaled and cut as it is stored, so `size` and `box` are turned for
    these steps; then it is turned upright. The order is draft, scale, cut, turn, convert colours: each step costs by
    the pixel, so the steps that drop the most pixels come first. Each frees the pixels that it has taken, so at most
    two images are in memory; `opened` has none in the end.
    """
    image, orientation = opened.image, opened.orientation
    target = size or opened.display_size
    if opened.format == "jpeg":
        # The decoder halves the image up to three times, as long as it stays at least as large as the target.
        image.draft(image.mode, swap_if_sideways(target, orientation))
    decode_pixels(opened)
    steps: list[Callable[[Image.Image], Image.Image]] = [
        to_eight_bit,
        partial(scale, size=swap_if_sideways(target, orientation)),
        partial(_cut, box=stored_box(box or (0, 0, *target), target, orientation)),
        partial(apply_orientation, orientation=orientation),
        partial(to_srgb, space=opened.colour_space),
    ]
    pixels: Image.Image = image
    with translate_pillow_errors(opened.limits):
        for step in steps:
            result = step(pixels)
            if result is not pixels:
                pixels.close()
            pixels = result
    pixels.info = {}
    return pixels


def _cut(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    return image if box == (0, 0, *image.size) else image.crop(box)

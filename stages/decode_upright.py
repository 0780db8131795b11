"""From the bytes of an original to upright 8-bit sRGB pixels: the one place where pixels are decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.colour import to_srgb
from stages.decode import OpenedImage, decode_pixels, translate_pillow_errors
from stages.depth import scale_transparent_colour, to_eight_bit
from stages.orientation import UPRIGHT, apply_orientation, swap_if_sideways
from stages.scale import scale

if TYPE_CHECKING:
    from PIL import Image


def decode_upright(
    opened: OpenedImage, *, size: tuple[int, int] | None = None, box: tuple[int, int, int, int] | None = None
) -> Image.Image:
    """Decode once to RGB, or RGBA where a pixel is not opaque; scaled to `size`, then cut to `box`, both as displayed.

    Works on the fewest pixels first (draft, resize, rotate, cut, colours), as each step costs by the pixel.
    """
    image, orientation = opened.image, opened.orientation
    target = size or opened.display_size
    if opened.format == "jpeg":
        image.draft(image.mode, swap_if_sideways(target, orientation))
    if opened.format == "png":
        scale_transparent_colour(image)
    decode_pixels(opened)
    if opened.format == "tiff":  # Pillow has turned it while loading
        orientation = UPRIGHT
    with translate_pillow_errors(opened.limits):
        shown = apply_orientation(scale(to_eight_bit(image), swap_if_sideways(target, orientation)), orientation)
        return to_srgb(shown.crop(box) if box else shown, image.info.get("icc_profile"))

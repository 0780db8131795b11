"""Decode an opened original to upright 8-bit sRGB pixels; animate decodes the frames of an animation itself."""

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
    """Decode once to upright RGB, or RGBA if a pixel is not opaque; scale to `size`; cut out `box`.

    `size` (by default the full size) and `box` are in pixels as displayed; `box` lies in the scaled image. The stored
    image may lie on its side. It is decoded whole and scaled as it is stored, so `size` is swapped for these two steps;
    then it is turned upright and cut. The order is draft, scale, turn, cut, convert colours: each step costs by the
    pixel, so the steps that drop the most pixels come first.
    """
    image, orientation = opened.image, opened.orientation
    target = size or opened.display_size
    if opened.format == "jpeg":
        # The decoder halves the image up to three times, as long as it stays at least as large as the target.
        image.draft(image.mode, swap_if_sideways(target, orientation))
    if opened.format == "png":
        scale_transparent_colour(image)
    decode_pixels(opened)
    if opened.format == "tiff":  # Pillow has turned it upright on loading
        orientation = UPRIGHT
    with translate_pillow_errors(opened.limits):
        upright = apply_orientation(scale(to_eight_bit(image), swap_if_sideways(target, orientation)), orientation)
        return to_srgb(upright.crop(box) if box else upright, image.info.get("icc_profile"))

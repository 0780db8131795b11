"""From the bytes of an original to upright 8-bit sRGB pixels: the one place where pixels are decoded."""

from __future__ import annotations

from PIL import Image

from stages.colour import to_srgb
from stages.decode import OpenedImage, decode_pixels, translate_pillow_errors
from stages.depth import scale_transparent_colour, to_eight_bit
from stages.errors import StageError
from stages.scale import scale

ORIENTATION = 0x0112
# What undoes each EXIF orientation: Exif 2.32, 4.6.4 A, table 6.
_TRANSPOSE_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS_ORIENTATIONS = frozenset({5, 6, 7, 8})


def decode_upright(
    opened: OpenedImage, *, size: tuple[int, int] | None = None, box: tuple[int, int, int, int] | None = None
) -> Image.Image:
    """Decode once to RGB, or RGBA where a pixel is not opaque; scaled to `size`, then cut to `box`, both as displayed.

    Works on the fewest pixels first (draft, resize, rotate, cut, colours), as each step costs by the pixel.
    """
    image, turn = opened.image, read_orientation(opened)
    target = size or display_size(opened)
    if opened.format == "jpeg":
        image.draft(image.mode, _swap_if_sideways(target, turn))
    if opened.format == "png":
        scale_transparent_colour(image)
    decode_pixels(opened)
    if opened.format == "tiff":  # Pillow has turned it while loading
        turn = 1
    with translate_pillow_errors(opened.limits):
        shown = apply_orientation(scale(to_eight_bit(image), _swap_if_sideways(target, turn)), turn)
        return to_srgb(shown.crop(box) if box else shown, image.info.get("icc_profile"))


def read_orientation(opened: OpenedImage) -> int:
    """Return the EXIF, or else the XMP, orientation: 1 to 8, and 1 where it is missing or nonsense."""
    try:
        with translate_pillow_errors(
            opened.limits
        ):  # the base class's, as PngImageFile's own decodes the pixels to look for EXIF behind them
            found = Image.Image.getexif(opened.image).get(ORIENTATION, 1)
    except StageError:
        return 1
    return found if isinstance(found, int) and found in _TRANSPOSE_BY_ORIENTATION else 1


def display_size(opened: OpenedImage) -> tuple[int, int]:
    """Return the width and height in pixels once the orientation is applied."""
    size, turn = opened.image.size, read_orientation(opened)
    if opened.format == "tiff" and ORIENTATION in opened.image.tag_v2:  # type: ignore[attr-defined]
        return size  # Pillow has swapped it already
    return _swap_if_sideways(size, turn)


def apply_orientation(image: Image.Image, turn: int) -> Image.Image:
    """Undo an EXIF orientation."""
    return image.transpose(_TRANSPOSE_BY_ORIENTATION[turn]) if turn in _TRANSPOSE_BY_ORIENTATION else image


def _swap_if_sideways(size: tuple[int, int], turn: int) -> tuple[int, int]:
    return size[::-1] if turn in _SIDEWAYS_ORIENTATIONS else size

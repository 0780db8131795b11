"""From the bytes of an original to upright 8-bit sRGB pixels: the one place where pixels are decoded."""

from __future__ import annotations

from PIL import Image

from stages.colour import to_srgb
from stages.decode import Opened, guarded, load
from stages.depth import eight_bit, scale_key
from stages.errors import StageError
from stages.scale import scale

ORIENTATION = 0x0112
# What undoes each EXIF orientation: Exif 2.32, 4.6.4 A, table 6.
_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS = frozenset({5, 6, 7, 8})


def upright(
    opened: Opened, *, size: tuple[int, int] | None = None, box: tuple[int, int, int, int] | None = None
) -> Image.Image:
    """Decode once to RGB, or RGBA where a pixel is not opaque; scaled to `size`, then cut to `box`, both as displayed.

    Works on the fewest pixels first (draft, resize, rotate, cut, colours), as each step costs by the pixel.
    """
    image, turn = opened.image, orientation(opened)
    target = size or display_size(opened)
    if opened.format == "jpeg":
        image.draft(image.mode, _as_stored(target, turn))
    if opened.format == "png":
        scale_key(image)
    load(opened)
    if opened.format == "tiff":  # Pillow has turned it while loading
        turn = 1
    with guarded(opened.limits):
        shown = turned(scale(eight_bit(image), _as_stored(target, turn)), turn)
        return to_srgb(shown.crop(box) if box else shown, image.info.get("icc_profile"))


def orientation(opened: Opened) -> int:
    """Return the EXIF, or else the XMP, orientation: 1 to 8, and 1 where it is missing or nonsense."""
    try:
        with guarded(
            opened.limits
        ):  # the base class's, as PngImageFile's own decodes the pixels to look for EXIF behind them
            found = Image.Image.getexif(opened.image).get(ORIENTATION, 1)
    except StageError:
        return 1
    return found if isinstance(found, int) and found in _UNDO else 1


def display_size(opened: Opened) -> tuple[int, int]:
    """Return the width and height in pixels once the orientation is applied."""
    size, turn = opened.image.size, orientation(opened)
    if opened.format == "tiff" and ORIENTATION in opened.image.tag_v2:  # type: ignore[attr-defined]
        return size  # Pillow has swapped it already
    return _as_stored(size, turn)


def turned(image: Image.Image, turn: int) -> Image.Image:
    """Undo an EXIF orientation."""
    return image.transpose(_UNDO[turn]) if turn in _UNDO else image


def _as_stored(size: tuple[int, int], turn: int) -> tuple[int, int]:
    return size[::-1] if turn in _SWAPS else size

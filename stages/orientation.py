"""EXIF orientation: how a stored image is turned for display, and what that does to its width and height."""

from __future__ import annotations

from PIL import Image

ORIENTATION_TAG = 0x0112
UPRIGHT = 1
# The transposition that brings each orientation upright: Exif 2.32, 4.6.4 A, table 6.
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


def read_orientation(image: Image.Image) -> int:
    """Return the orientation in the EXIF, or else in the XMP: 1 to 8, and 1 if it is missing or not one of these.

    May raise what Pillow raises for damaged metadata.
    """
    # Not image.getexif(): PngImageFile's own decodes the pixels, to look for EXIF behind them.
    value = Image.Image.getexif(image).get(ORIENTATION_TAG, UPRIGHT)
    return value if isinstance(value, int) and value in _TRANSPOSE_BY_ORIENTATION else UPRIGHT


def apply_orientation(image: Image.Image, orientation: int) -> Image.Image:
    """Return the stored image upright."""
    if orientation not in _TRANSPOSE_BY_ORIENTATION:
        return image
    return image.transpose(_TRANSPOSE_BY_ORIENTATION[orientation])


def swap_if_sideways(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Turn a stored size into the displayed one, or back: orientations 5 to 8 swap width and height."""
    return size[::-1] if orientation in _SIDEWAYS_ORIENTATIONS else size

"""EXIF orientation: how a stored image is turned for display, and what that does to its width and height."""

from __future__ import annotations

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

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
# Where the first stored pixel is displayed on the right, and where at the bottom.
_RIGHT_ORIENTATIONS, _BOTTOM_ORIENTATIONS = frozenset({2, 3, 6, 7}), frozenset({3, 4, 7, 8})


def read_orientation(image: Image.Image) -> int:
    """Return the orientation in the EXIF: 1 to 8, and 1 if it is missing or not one of these.

    That in the XMP is ignored, as browsers do. May raise what Pillow raises for damaged metadata.
    """
    if isinstance(image, TiffImageFile):
        value = image.tag_v2.get(ORIENTATION_TAG)
    else:  # not image.getexif(), which falls back on the XMP
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        value = exif.get(ORIENTATION_TAG)
    return value if isinstance(value, int) and value in _TRANSPOSE_BY_ORIENTATION else UPRIGHT


def apply_orientation(image: Image.Image, orientation: int) -> Image.Image:
    """Return the stored image upright."""
    if orientation not in _TRANSPOSE_BY_ORIENTATION:
        return image
    return image.transpose(_TRANSPOSE_BY_ORIENTATION[orientation])


def swap_if_sideways(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Turn a stored size into the displayed one, or back: orientations 5 to 8 swap width and height."""
    return size[::-1] if orientation in _SIDEWAYS_ORIENTATIONS else size


def stored_box(box: tuple[int, int, int, int], size: tuple[int, int], orientation: int) -> tuple[int, int, int, int]:
    """Turn the (left, top, right, bottom) of a box in an image displayed at `size` into those in the stored image."""
    left, top, right, bottom = box
    if orientation in _RIGHT_ORIENTATIONS:
        left, right = size[0] - right, size[0] - left
    if orientation in _BOTTOM_ORIENTATIONS:
        top, bottom = size[1] - bottom, size[1] - top
    return (top, left, bottom, right) if orientation in _SIDEWAYS_ORIENTATIONS else (left, top, right, bottom)

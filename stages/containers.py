"""Checks of a file's structure before decoding: truncated files, and bombs that Pillow notices only while decoding."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from stages.container_info import MAX_PARTS, ContainerInfo, check_part_count
from stages.errors import ImageTruncated
from stages.gif import inspect_gif
from stages.jpeg import inspect_jpeg
from stages.limits import Limits, check_dimensions
from stages.png import inspect_png
from stages.tiff import inspect_tiff

MAX_RUNS = 32 * MAX_PARTS  # Pillow decodes the two-byte runs of a bitmap in Python: a microsecond each
_SPATIAL_EXTENTS = re.compile(rb"\0\0\0\x14ispe\0{4}(.{8})", re.DOTALL)  # ISO/IEC 23008-12, 6.5.3
_BMP_PLAIN = frozenset((0, 3))  # BI_RGB and BI_BITFIELDS: no compression, so every row has the same length


def inspect_container(original: bytes, format: str, limits: Limits) -> ContainerInfo:  # noqa: A002  the API's own word
    """Read the file's structure once without decoding.

    Raises ImageTruncated, ImageCorrupt, ImageTooLarge or TooManyFrames.
    """
    try:
        return _INSPECTORS[format](original, limits)
    except (IndexError, OverflowError, struct.error) as error:  # a read past the end of the file
        raise ImageTruncated from error


def _inspect_webp(original: bytes, _limits: Limits) -> ContainerInfo:
    """Check the length in the RIFF header: https://developers.google.com/speed/webp/docs/riff_container."""
    if 8 + struct.unpack_from("<I", original, 4)[0] > len(original):
        raise ImageTruncated
    return ContainerInfo()


def _inspect_bmp(original: bytes, _limits: Limits) -> ContainerInfo:
    """Check the rows of an uncompressed bitmap and the number of runs of a compressed one: BITMAPINFOHEADER."""
    start, header = struct.unpack_from("<II", original, 10)
    if header == 12:  # noqa: PLR2004  the OS/2 header, without a compression field
        width, height, _, bits = struct.unpack_from("<4H", original, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", original, 18)
    row = (width * bits + 31) // 32 * 4
    if compression in _BMP_PLAIN and start + row * abs(height) > len(original):
        raise ImageTruncated
    if compression not in _BMP_PLAIN:
        check_part_count((len(original) - start) // 2, "runs", MAX_RUNS)
    return ContainerInfo()


def _inspect_heif(original: bytes, limits: Limits) -> ContainerInfo:
    """Check that an AVIF or HEIC has all its boxes, and the sizes that they state: ISO/IEC 14496-12, 4.2."""
    position, parts, kinds = 0, 0, set()
    while position < len(original):
        check_part_count(parts := parts + 1, "boxes")
        length, kind = struct.unpack_from(">I4s", original, position)
        if length == 0:  # the box extends to the end of the file
            length = len(original) - position
        if length == 1:
            (length,) = struct.unpack_from(">Q", original, position + 8)
        if length < 8 or position + length > len(original):  # noqa: PLR2004  the bytes of a box's header
            raise ImageTruncated
        kinds.add(kind)
        position += length
    if b"mdat" not in kinds and b"idat" not in original:
        raise ImageTruncated
    for size in _SPATIAL_EXTENTS.finditer(original):  # what is decoded, even if only a small part of it is shown
        width, height = struct.unpack(">II", size[1])
        check_dimensions(width, height, limits)
    return ContainerInfo()


_INSPECTORS: dict[str, Callable[[bytes, Limits], ContainerInfo]] = {
    "jpeg": inspect_jpeg,
    "png": inspect_png,
    "gif": inspect_gif,
    "webp": _inspect_webp,
    "bmp": _inspect_bmp,
    "avif": _inspect_heif,
    "heic": _inspect_heif,
    "tiff": inspect_tiff,
}

"""Walks over the containers' own bookkeeping: files that end early, bombs Pillow would meet only while decoding."""

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

MAX_RUNS = 32 * MAX_PARTS  # Pillow decodes a bitmap's runs of two bytes in Python, a microsecond each
_SPATIAL_EXTENTS = re.compile(rb"\0\0\0\x14ispe\0{4}(.{8})", re.DOTALL)  # ISO/IEC 23008-12, 6.5.3
_BMP_PLAIN = frozenset((0, 3))  # BI_RGB and BI_BITFIELDS: a row takes what it takes


def inspect_container(original: bytes, format: str, limits: Limits) -> ContainerInfo:  # noqa: A002  the API's own word
    """Walk the container once without decoding; raise ImageTruncated, ImageCorrupt, ImageTooLarge or TooManyFrames."""
    try:
        return _INSPECTORS[format](original, limits)
    except (IndexError, OverflowError, struct.error) as error:  # every read past the end of the bytes
        raise ImageTruncated from error


def _riff(original: bytes, _limits: Limits) -> ContainerInfo:
    """Check a WebP's length: https://developers.google.com/speed/webp/docs/riff_container."""
    if 8 + struct.unpack_from("<I", original, 4)[0] > len(original):
        raise ImageTruncated
    return ContainerInfo()


def _bmp(original: bytes, _limits: Limits) -> ContainerInfo:
    """Check that the rows of an uncompressed bitmap are all there: BITMAPINFOHEADER."""
    start, header = struct.unpack_from("<II", original, 10)
    if header == 12:  # noqa: PLR2004  OS/2's header, which knows no compression
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


def _boxes(original: bytes, limits: Limits) -> ContainerInfo:
    """Check that an AVIF's or HEIC's boxes are all there, and what sizes they state: ISO/IEC 14496-12, 4.2."""
    position, parts, kinds = 0, 0, set()
    while position < len(original):
        check_part_count(parts := parts + 1, "boxes")
        length, kind = struct.unpack_from(">I4s", original, position)
        if length == 0:  # up to the end of the file
            length = len(original) - position
        if length == 1:
            (length,) = struct.unpack_from(">Q", original, position + 8)
        if length < 8 or position + length > len(original):  # noqa: PLR2004  a box's own header
            raise ImageTruncated
        kinds.add(kind)
        position += length
    if b"mdat" not in kinds and b"idat" not in original:
        raise ImageTruncated
    for size in _SPATIAL_EXTENTS.finditer(original):  # of what is decoded, be it only to cut a small picture from it
        width, height = struct.unpack(">II", size[1])
        check_dimensions(width, height, limits)
    return ContainerInfo()


_INSPECTORS: dict[str, Callable[[bytes, Limits], ContainerInfo]] = {
    "jpeg": inspect_jpeg,
    "png": inspect_png,
    "gif": inspect_gif,
    "webp": _riff,
    "bmp": _bmp,
    "avif": _boxes,
    "heic": _boxes,
    "tiff": inspect_tiff,
}

"""Checks of a file's structure before decoding: truncated files, and bombs that Pillow notices only while decoding."""

from __future__ import annotations

import struct
from collections.abc import Callable

from stages.container_info import MAX_PARTS, ContainerInfo, check_part_count
from stages.errors import ImageTruncated
from stages.gif import inspect_gif
from stages.heif import inspect_avif, inspect_heif
from stages.jpeg import inspect_jpeg
from stages.limits import Limits
from stages.png import inspect_png
from stages.tiff import inspect_tiff

MAX_RUNS = 32 * MAX_PARTS  # Pillow decodes the two-byte runs of a bitmap in Python: a microsecond each
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


_INSPECTORS: dict[str, Callable[[bytes, Limits], ContainerInfo]] = {
    "jpeg": inspect_jpeg,
    "png": inspect_png,
    "gif": inspect_gif,
    "webp": _inspect_webp,
    "bmp": _inspect_bmp,
    "avif": inspect_avif,
    "heic": inspect_heif,
    "tiff": inspect_tiff,
}

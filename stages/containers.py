"""Checks of a file's structure before decoding: truncated files, and bombs that Pillow notices only while decoding."""

from __future__ import annotations

import struct
from collections.abc import Callable

from stages.bmp.inspection import inspect_bmp
from stages.container_info import ContainerInfo
from stages.errors import ImageTruncated
from stages.gif.inspection import inspect_gif
from stages.heif.inspection import inspect_avif, inspect_heif
from stages.jpeg.inspection import inspect_jpeg
from stages.limits import Limits
from stages.png.inspection import inspect_png
from stages.tiff.inspection import inspect_tiff


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


_INSPECTORS: dict[str, Callable[[bytes, Limits], ContainerInfo]] = {
    "jpeg": inspect_jpeg,
    "png": inspect_png,
    "gif": inspect_gif,
    "webp": _inspect_webp,
    "bmp": inspect_bmp,
    "avif": inspect_avif,
    "heic": inspect_heif,
    "tiff": inspect_tiff,
}

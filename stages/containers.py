"""The inspection of each format: what is refused before decoding, such as bombs that a decoder notices too late."""

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
from stages.webp.inspection import inspect_webp


def inspect_container(original: bytes, format: str, limits: Limits) -> ContainerInfo:  # noqa: A002  the API's own word
    """Read the file's structure once without decoding.

    Raises ImageTruncated, ImageCorrupt, ImageTooLarge, TooManyFrames or UnsupportedFormat.
    """
    try:
        return _INSPECTORS[format](original, limits)
    except (IndexError, OverflowError, struct.error) as error:  # a read past the end of the file
        raise ImageTruncated from error


_INSPECTORS: dict[str, Callable[[bytes, Limits], ContainerInfo]] = {
    "jpeg": inspect_jpeg,
    "png": inspect_png,
    "gif": inspect_gif,
    "webp": inspect_webp,
    "bmp": inspect_bmp,
    "avif": inspect_avif,
    "heic": inspect_heif,
    "tiff": inspect_tiff,
}

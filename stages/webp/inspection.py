"""Inspection of a WebP: whether all of it is there."""

from __future__ import annotations

import struct

from stages.container_info import ContainerInfo
from stages.errors import ImageTruncated
from stages.limits import Limits


def inspect_webp(original: bytes, _limits: Limits) -> ContainerInfo:
    """Check the length in the RIFF header: https://developers.google.com/speed/webp/docs/riff_container.

    Raises ImageTruncated, or struct.error if the file ends before it.
    """
    if 8 + struct.unpack_from("<I", original, 4)[0] > len(original):
        raise ImageTruncated
    return ContainerInfo(frames=None)

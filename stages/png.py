"""Inspection of a PNG's chunks: W3C PNG (Third Edition), 5."""

from __future__ import annotations

import struct
import zlib

from stages.container_info import ContainerInfo, check_part_count
from stages.errors import ImageCorrupt
from stages.limits import Limits


def inspect_png(original: bytes, _limits: Limits) -> ContainerInfo:
    """Check the checksum of every chunk, and find the EXIF, which may come after the pixels.

    Pillow does not check the checksums of pixels. Raises struct.error if the file ends before its last chunk.
    """
    position, parts, exif, view = 8, 0, None, memoryview(original)
    while True:
        check_part_count(parts := parts + 1, "chunks")
        length, kind = struct.unpack_from(">I4s", original, position)
        (checksum,) = struct.unpack_from(">I", original, position + 8 + length)
        if zlib.crc32(view[position + 4 : position + 8 + length]) != checksum:
            message = f"The image is damaged: the checksum of its {kind.decode('latin-1')} chunk is wrong."
            raise ImageCorrupt(message)
        if kind == b"eXIf":
            exif = original[position + 8 : position + 8 + length]
        if kind == b"IEND":
            return ContainerInfo(exif=exif)
        position += 12 + length

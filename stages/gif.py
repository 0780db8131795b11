"""Inspection of a GIF: the number of its frames, which Pillow counts without a limit, and the size of their canvas."""

from __future__ import annotations

import struct

from stages.container_info import MAX_PARTS, ContainerInfo, check_part_count
from stages.errors import ImageCorrupt, ImageTruncated
from stages.limits import Limits, check_dimensions, check_frames

MAX_BLOCKS = 8 * MAX_PARTS  # 25 MiB of full blocks, 255 bytes each, are about 100,000 blocks
_IMAGE, _EXTENSION, _TRAILER = b",", b"!", b";"  # GIF89a, 20 and 23 to 27


def inspect_gif(original: bytes, limits: Limits) -> ContainerInfo:
    """Count the frames, and check the canvas that Pillow grows to hold them all.

    Raises IndexError or struct.error if a block lies beyond the end of the file. A missing trailer is accepted.
    """
    width, height, flags = struct.unpack_from("<HHB", original, 6)
    position, blocks, frames = 13 + _palette_bytes(flags), 0, 0
    while position < len(original):
        kind = original[position : position + 1]
        if kind == _IMAGE:
            left, top, frame_width, frame_height, flags = struct.unpack_from("<4HB", original, position + 1)
            width, height, frames = max(width, left + frame_width), max(height, top + frame_height), frames + 1
            check_dimensions(width, height, limits)
            check_frames(frames, width, height, limits)
            position += 11 + _palette_bytes(flags)
        elif kind == _EXTENSION:
            position += 2
        elif kind == _TRAILER:
            break
        else:  # Pillow skips stray bytes one by one
            check_part_count(blocks := blocks + 1, "blocks", MAX_BLOCKS)
            position += 1
            continue
        position, blocks = _skip_sub_blocks(original, position, blocks)
    if not frames:
        raise ImageCorrupt if position < len(original) else ImageTruncated
    return ContainerInfo(frames=frames)


def _palette_bytes(flags: int) -> int:
    return 6 << (flags & 7) if flags & 0x80 else 0


def _skip_sub_blocks(original: bytes, position: int, blocks: int) -> tuple[int, int]:
    while (length := original[position]) and blocks <= MAX_BLOCKS:
        blocks += 1
        position += 1 + length
    check_part_count(blocks, "blocks", MAX_BLOCKS)
    return position + 1, blocks

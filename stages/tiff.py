"""Inspection of a TIFF's first directory, without Pillow: Pillow would make a Python object for each of its strips."""

from __future__ import annotations

import struct

from stages.container_info import MAX_PARTS, ContainerInfo, check_part_count
from stages.errors import ImageCorrupt, ImageTruncated
from stages.limits import Limits, check_dimensions

_WIDTH, _HEIGHT, _STRIP_OFFSETS, _STRIP_BYTES = 256, 257, 273, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
_PRIVATE = 32_768  # private tags start here: they are not read, and often broken
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
# TIFF 6.0, section 2; BigTIFF adds 16 to 18. The codec takes a size of a signed type too.
_TYPE_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}


def inspect_tiff(original: bytes, limits: Limits) -> ContainerInfo:
    """Refuse a first page with too many strips, tiles over the limits, or pixels beyond the end of the file.

    Raises struct.error if the directory itself lies beyond the end.
    """
    tags = _read_directory(original)
    width, height = _required_value(tags, _WIDTH), _required_value(tags, _HEIGHT)
    check_dimensions(width, height, limits)
    if _TILE_WIDTH in tags or _TILE_HEIGHT in tags or _TILE_OFFSETS in tags:  # the codec needs only one of them
        check_dimensions(_required_value(tags, _TILE_WIDTH), _required_value(tags, _TILE_HEIGHT), limits)
    for offsets, lengths in ((_STRIP_OFFSETS, _STRIP_BYTES), (_TILE_OFFSETS, _TILE_BYTES)):
        ends = map(sum, zip(tags.get(offsets, ()), tags.get(lengths, ()), strict=False))
        if max(ends, default=0) > len(original):
            raise ImageTruncated
    return ContainerInfo()


def _required_value(tags: dict[int, tuple[int, ...]], tag: int) -> int:
    if not tags.get(tag):
        message = f"The image is damaged: its TIFF directory lacks tag {tag}."
        raise ImageCorrupt(message)
    return tags[tag][0]


def _read_directory(original: bytes) -> dict[int, tuple[int, ...]]:
    """Return the values of the tags that this module needs."""
    order = "<" if original[:1] == b"I" else ">"
    big = original[2:4] in (b"+\0", b"\0+")
    pointer, count, entry, inline = ("Q", "Q", "HHQ", 8) if big else ("I", "H", "HHI", 4)
    (start,) = struct.unpack_from(order + pointer, original, 8 if big else 4)
    (entries,) = struct.unpack_from(order + count, original, start)
    position = start + struct.calcsize(order + count)
    tags: dict[int, tuple[int, ...]] = {}
    for _ in range(min(entries, MAX_PARTS)):
        tag, field_type, values = struct.unpack_from(order + entry, original, position)
        value_offset, length = position + struct.calcsize(order + entry), values * _TYPE_BYTES.get(field_type, 0)
        if length > inline:
            (value_offset,) = struct.unpack_from(order + pointer, original, value_offset)
        if value_offset + length > len(original) and tag < _PRIVATE:
            raise ImageTruncated
        if _is_needed(tag, field_type, values):
            content = struct.unpack_from(f"{order}{values}{_TYPE_CODES[field_type]}", original, value_offset)
            if tags.setdefault(tag, content) != content:  # Pillow takes the last one, the codec the first
                message = f"The image is damaged: its TIFF directory has tag {tag} twice, with different values."
                raise ImageCorrupt(message)
        position += struct.calcsize(order + entry) + inline
    return tags


def _is_needed(tag: int, field_type: int, values: int) -> bool:
    if tag not in (_WIDTH, _HEIGHT, _STRIP_OFFSETS, _STRIP_BYTES, *range(_TILE_WIDTH, _TILE_BYTES + 1)):
        return False
    check_part_count(values, "strips")
    return field_type in _TYPE_CODES

"""Overwrites in an AVIF what its decoder refuses, though browsers show the image: ISO/IEC 14496-12 and 23008-12.

No box moves, so that the places that boxes state stay right.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterator

from stages.heif.av1 import find_colour_description
from stages.heif.boxes import FULL, find_items, index_boxes, index_meta, read_item_types, split_boxes

_TIFF = re.compile(rb"II\*\0|MM\0\*")
_TIFF_HEADER_BYTES = 8
# Constant luminance, chromaticity-derived, ICtCp, and a reserved value: Chromium 156 paints them by BT.601's matrix,
# and takes the colours for sRGB (measured). It takes values that H.273 does not define for "unspecified".
_UNSUPPORTED_MATRICES, _FIRST_UNDEFINED, _UNSPECIFIED = frozenset((3, 10, 13, 14)), 18, 2
_SRGB_BY_BT601 = (1, 13, 6)
_Fault = tuple[memoryview, bytes]


def repair_boxes(file: memoryview) -> bytes | None:
    """Return the file with all faults overwritten, or None if it has none. Raises as `find_items` does."""
    if not any(True for _ in _find_faults(file)):
        return None
    content = bytearray(file)
    for place, right in list(_find_faults(memoryview(content))):
        place[:] = right
    return bytes(content)


def _find_faults(file: memoryview) -> Iterator[_Fault]:
    """Yield each place to overwrite, and what with."""
    meta = index_meta(file)
    properties = meta.get(b"iprp", file[:0])
    yield from _repeated_associations(properties)
    yield from _colour_boxes(index_boxes(properties).get(b"ipco", file[:0]))
    for item in find_items(file, b"av01"):
        yield from _stream_colours(item)
    if not all(map(_is_usable_exif, find_items(file, b"Exif"))):
        for _, item_type in read_item_types(meta.get(b"iinf", file[:0])):
            if bytes(item_type) == b"Exif":
                yield item_type, b"free"


def _repeated_associations(properties: memoryview) -> Iterator[_Fault]:
    """Give further boxes of one version flags of their own: a file may have one box of each version and flags.

    Older encoders wrote one for the picture and one for its alpha. Only the lowest flag means something.
    """
    seen: dict[tuple[int, int], int] = defaultdict(int)
    for kind, payload in split_boxes(properties):
        if kind == b"ipma":
            version, flags = payload[0], int.from_bytes(payload[1:FULL])
            if number := seen[version, flags]:
                yield payload[1:FULL], (flags & 1 | number << 1).to_bytes(3)
            seen[version, flags] += 1


def _colour_boxes(properties: memoryview) -> Iterator[_Fault]:
    for kind, payload in split_boxes(properties):
        if kind == b"colr" and bytes(payload[:4]) == b"nclx":
            numbers = struct.unpack_from(">3H", payload, 4)
            if (shown := _shown_colours(*numbers)) != numbers:
                yield payload[4:10], struct.pack(">3H", *shown)


def _stream_colours(sample: memoryview) -> Iterator[_Fault]:
    """Overwrite what a stream states: a decoder relies on it if there is no `colr` box."""
    found = find_colour_description(sample)
    if found and (shown := _shown_colours(*found.numbers)) != found.numbers:
        start, shift = found.position // 8, 8 - found.position % 8
        place = found.payload[start : start + 4]
        change = int.from_bytes(bytes(found.numbers)) ^ int.from_bytes(bytes(shown))
        if len(place) == 4:  # noqa: PLR2004  else nothing follows, and the stream is damaged
            yield place, (int.from_bytes(place) ^ change << shift).to_bytes(4)


def _shown_colours(primaries: int, transfer: int, matrix: int) -> tuple[int, int, int]:
    if matrix in _UNSUPPORTED_MATRICES:
        return _SRGB_BY_BT601
    return primaries, transfer, matrix if matrix < _FIRST_UNDEFINED else _UNSPECIFIED


def _is_usable_exif(content: memoryview) -> bool:
    """Return whether the item begins with the place of its TIFF header, as 23008-12, annex A, requires."""
    found = _TIFF.search(content, FULL)
    if found is None or found.start() + _TIFF_HEADER_BYTES > len(content):
        return False
    return found.start() - FULL == int.from_bytes(content[:FULL])

"""Inspection of a JPEG's segments up to its first scan: ISO/IEC 10918-1, annex B."""

from __future__ import annotations

import struct

from stages.container_info import ContainerInfo, check_part_count
from stages.limits import Limits

MAX_SCANS = 100  # an ordinary progressive JPEG has about ten; at 50 megapixels each costs about 50 ms
_MARKER, _SCAN = 0xFF, b"\xff\xda"
_MARKERS_WITHOUT_LENGTH = frozenset(bytes((_MARKER, code)) for code in (0x01, *range(0xD0, 0xD9)))  # TEM, RSTn, SOI
_SEQUENTIAL = frozenset((b"\xff\xc0", b"\xff\xc1"))


def inspect_jpeg(original: bytes, _limits: Limits) -> ContainerInfo:
    """Refuse too many segments or scans. Raises IndexError or struct.error if the file ends before its first scan."""
    position, parts, components = 2, 0, 0
    while (marker := original[position : position + 2]) != _SCAN:
        check_part_count(parts := parts + 1, "segments")
        if marker in _MARKERS_WITHOUT_LENGTH:
            position += 2
        elif marker[0] == _MARKER and marker[1] not in (0x00, _MARKER):
            if marker in _SEQUENTIAL:
                components = original[position + 9]
            position += 2 + struct.unpack_from(">H", original, position + 2)[0]
        else:  # padding between segments
            position += 1
    if original[position + 4] != components:  # else the first scan has all components: the decoder stops after it
        check_part_count(original.count(_SCAN, position), "scans", MAX_SCANS)
    return ContainerInfo()

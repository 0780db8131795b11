"""The scans of a JPEG, and where the data of each ends: ISO/IEC 10918-1, annexes B and G."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.container_info import PartCounter, check_part_count
from stages.errors import ImageCorrupt, ImageTruncated

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SCANS = 100  # an ordinary progressive JPEG has about ten; at 50 megapixels each costs about 50 ms
END = b"\xff\xd9"
_MARKER, _SCAN, _RESTART_INTERVAL = 0xFF, b"\xff\xda", b"\xff\xdd"
_MARKERS_WITHOUT_LENGTH = frozenset(bytes((_MARKER, code)) for code in (0x01, *range(0xD0, 0xD9)))  # TEM, RSTn, SOI
_FRAMES = frozenset(bytes((_MARKER, code)) for code in range(0xC0, 0xD0)) - {b"\xff\xc4", b"\xff\xc8", b"\xff\xcc"}
_SEQUENTIAL, _PROGRESSIVE = frozenset((b"\xff\xc0", b"\xff\xc1")), b"\xff\xc2"  # those with Huffman codes
# What may lie between scans: tables, comments and application data.
_BETWEEN_SCANS = frozenset(bytes((_MARKER, code)) for code in (0xC4, 0xCC, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE))
# Scan data has no other marker than RSTn: a byte 0xFF is stuffed with a zero. Elsewhere decoders skip RSTn and TEM.
_END_OF_DATA, _NEXT_MARKER = re.compile(rb"\xff[^\0\xff\xd0-\xd7]"), re.compile(rb"\xff[^\0\1\xff\xd0-\xd7]")
_STRAY_BYTES = 16  # more than there are between a scan's data and the end marker, if any
_OTHER_IMAGES = b"MPF\0"  # CIPA DC-007: the file has several images, each with its end marker
_RESTARTS = [bytes((_MARKER, code)) for code in range(0xD0, 0xD8)]
_ALL_COEFFICIENTS = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Frame:
    """What the segments up to the first scan state.

    `coding` is the frame's marker, empty if there is none. `components` are their ids and, across and down, how often
    they are sampled in a unit.
    """

    coding: bytes
    size: tuple[int, int]
    components: tuple[tuple[int, int, int], ...]
    restart_interval: int
    first_scan: int

    def has_one_scan(self, content: bytes) -> bool:
        """Return whether the first scan holds all components in full: a decoder reads no further."""
        return self.coding in _SEQUENTIAL and content[self.first_scan + 4] == len(self.components)

    @property
    def has_huffman_codes(self) -> bool:
        """Whether the scans are coded as in nearly all files: neither arithmetic nor lossless."""
        return self.coding in _SEQUENTIAL or self.coding == _PROGRESSIVE

    def count_units(self, ids: bytes) -> int:
        """Return the units of a scan of these components: blocks if it is one, else blocks of each together, A.2."""
        columns, rows = (max(component[axis] for component in self.components) for axis in (1, 2))
        if len(ids) > 1:
            return -(-self.size[0] // (8 * columns)) * -(-self.size[1] // (8 * rows))
        across, down = next(component[1:] for component in self.components if component[0] == ids[0])
        width, height = -(-self.size[0] * across // columns), -(-self.size[1] * down // rows)
        return -(-width // 8) * -(-height // 8)


def read_frame(content: bytes) -> Frame:
    """Read the segments up to the first scan.

    Raises ImageTooLarge for too many, and IndexError or struct.error if the file ends before its first scan.
    """
    position, parts, interval, coding, size = 2, 0, 0, b"", (0, 0)
    components: tuple[tuple[int, int, int], ...] = ()
    while (marker := content[position : position + 2]) != _SCAN:
        check_part_count(parts := parts + 1, "segments")
        if marker in _MARKERS_WITHOUT_LENGTH:
            position += 2
        elif marker[0] == _MARKER and marker[1] not in (0x00, _MARKER):
            (length,) = struct.unpack_from(">H", content, position + 2)
            if marker in _FRAMES:
                coding, (size, components) = marker, _read_components(content, position)
            elif marker == _RESTART_INTERVAL:
                (interval,) = struct.unpack_from(">H", content, position + 4)
            position += 2 + length
        else:  # padding between segments
            position += 1
    return Frame(coding, size, components, interval, position)


def _read_components(content: bytes, position: int) -> tuple[tuple[int, int], tuple[tuple[int, int, int], ...]]:
    height, width, count = struct.unpack_from(">HHB", content, position + 5)
    ids, sampling = (content[position + start : position + 10 + 3 * count : 3] for start in (10, 11))
    components = tuple((id_, factors >> 4, factors & 15) for id_, factors in zip(ids, sampling, strict=False))
    if not all(across and down for _, across, down in components):
        raise ImageCorrupt
    return (width, height), components


def find_scan_ends(content: bytes, frame: Frame) -> Iterator[int]:
    """Yield where the data of each scan ends, up to the one with which the image is complete.

    Raises ImageTooLarge for too many scans, and ImageTruncated if a component is missing. Later scans of a progressive
    image, which only refine it, may be missing if it has an end marker: encoders may leave them out.
    """
    marker, start, interval, scans = _SCAN, frame.first_scan, frame.restart_interval, 0
    segments = PartCounter("segments")
    coarse = dict.fromkeys((component[0] for component in frame.components), _ALL_COEFFICIENTS)
    unseen = set(coarse)
    while marker == _SCAN and any(coarse.values()):
        check_part_count(scans := scans + 1, "scans", MAX_SCANS)
        ids, coefficients, is_exact = _read_scan(content, start, frame)
        end = find_marker(content, _start_of_data(content, start))
        if interval and _count_restarts(content, start, end) < (frame.count_units(ids) - 1) // interval:
            raise ImageTruncated
        yield end
        unseen -= set(ids) if coefficients & 1 else set()
        for component in ids if is_exact else ():
            coarse[component] &= ~coefficients
        marker, start, interval = _find_next_scan(content, end, interval, segments)
    if unseen or (marker != END and any(coarse.values())):
        raise ImageTruncated


def find_end_of_only_scan(content: bytes, frame: Frame) -> int:
    """Return where the data of the first scan ends."""
    return find_marker(content, _start_of_data(content, frame.first_scan))


def find_marker(content: bytes, start: int) -> int:
    """Return where the data of a scan ends if `start` lies in it: at the next marker, or with the file."""
    found = _END_OF_DATA.search(content, start)
    return found.start() if found else len(content)


def guess_end_of_only_scan(content: bytes, frame: Frame) -> int:
    """Return a place shortly before the end of the first scan's data, found without a search in an ordinary file.

    A search would take 3 % of the time that decoding takes.
    """
    start = _start_of_data(content, frame.first_scan)
    if content.endswith(END) and content.find(_OTHER_IMAGES, 0, frame.first_scan) < 0:
        end = len(content) - len(END)
    else:
        end = content.find(END, start)
    return max(start, (end if end >= 0 else len(content)) - _STRAY_BYTES)


def _start_of_data(content: bytes, start: int) -> int:
    (length,) = struct.unpack_from(">H", content, start + 2)
    return start + 2 + length  # type: ignore[no-any-return]


def _read_scan(content: bytes, start: int, frame: Frame) -> tuple[bytes, int, bool]:
    """Return the ids of a scan's components, its coefficients as bits, and whether they are exact with it."""
    length, count = struct.unpack_from(">HB", content, start + 2)
    ids = content[start + 5 : start + 5 + 2 * count : 2]
    if start + 2 + length > len(content):
        raise ImageTruncated
    if length != 6 + 2 * count or not ids or not set(ids) <= {component[0] for component in frame.components}:
        raise ImageCorrupt
    if frame.coding != _PROGRESSIVE:
        return ids, _ALL_COEFFICIENTS, True
    first, last, precision = struct.unpack_from(">3B", content, start + 5 + 2 * count)
    return ids, (1 << last + 1) - (1 << first), precision & 15 == 0


def _count_restarts(content: bytes, start: int, end: int) -> int:
    return sum(content.count(marker, start, end) for marker in _RESTARTS)


def _find_next_scan(content: bytes, position: int, interval: int, segments: PartCounter) -> tuple[bytes, int, int]:
    """Return the marker of the next scan or of the image's end, where it lies, and the restart interval from there on.

    If something else follows, such as what a camera's maker appends, the marker is empty: there is no end marker.
    """
    while found := _NEXT_MARKER.search(content, position):
        segments.add()
        marker, position = found.group(), found.start()
        length = int.from_bytes(content[position + 2 : position + 4])
        if marker in (_SCAN, END):
            return marker, position, interval
        if marker not in _BETWEEN_SCANS or position + 2 + length > len(content):
            break
        if marker == _RESTART_INTERVAL:
            interval = int.from_bytes(content[position + 4 : position + 6])
        position += 2 + length
    return b"", position, interval

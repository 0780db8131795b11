"""Where the parts, lengths and kinds of a file are: what a mutation must know of a format to get past its first check.

The walks forgive everything, as what they walk over may be mutated already: they stop where they lose their way.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC)))  # SOFn: ISO/IEC 10918-1, table B.1
_ALONE, _SCAN = frozenset((0x01, *range(0xD0, 0xDA))), 0xDA
_BOXES = {b"meta": 12, b"moov": 8, b"trak": 8, b"mdia": 8, b"minf": 8, b"stbl": 8, b"iprp": 8, b"ipco": 8, b"iinf": 14}
_PNG_FIELDS = {
    b"IHDR": ">IIBBBBB", b"acTL": ">II", b"fcTL": ">IIIIIHHBB", b"gAMA": ">I", b"cHRM": ">IIIIIIII", b"cICP": ">BBBB",
    b"cLLI": ">II", b"mDCV": ">HHHHHHHHII",
}  # fmt: skip
_TIFF_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 12: 8, 13: 4, 16: 8}
_SUB_DIRECTORIES = 330  # TIFF/EP
_NUMBERED = (b"fcTL", b"fdAT")
_OPEN_ENDED = 400  # bytes of a box within which any four may be a number worth changing


@dataclass(slots=True)
class Layout:
    """Parts are (start, end), fields (offset, struct layout) of numbers, kinds (start, end) of names of one width."""

    parts: list[tuple[int, int]] = field(default_factory=list)
    fields: list[tuple[int, str]] = field(default_factory=list)
    kinds: list[tuple[int, int]] = field(default_factory=list)

    def add(self, start: int, layout: str) -> None:
        """Add the fields that lie one behind the other from `start`."""
        order, position = layout[0], start
        for letter in layout[1:]:
            self.fields.append((position, order + letter))
            position += struct.calcsize(order + letter)


def layout(content: bytes, format: str) -> Layout:  # noqa: A002
    """Return what is known of the file; offsets may lie past its end."""
    found = Layout()
    with suppress(IndexError, OverflowError, struct.error):
        _WALKS[format](content, found)
    return found


def fix_checksums(content: bytes, format: str) -> bytes:  # noqa: A002
    """Put right the checksums, the order of frames and the overall length that a mutation broke, if there are any."""
    result = bytearray(content)
    if format == "png":
        number = 0
        for start, end in layout(content, "png").parts:
            if content[start + 4 : start + 8] in _NUMBERED and end - start >= 16:
                struct.pack_into(">I", result, start + 8, number)
                number += 1
            struct.pack_into(">I", result, end - 4, zlib.crc32(result[start + 4 : end - 4]))
    if format == "webp" and len(content) >= 8:
        struct.pack_into("<I", result, 4, len(content) - 8)
    return bytes(result)


def grow_boxes(content: bytes, format: str, at: int, by: int) -> bytes:  # noqa: A002
    """Let the boxes around `at` grow by as many bytes as were put there, and the offsets of pixels behind it."""
    result = bytearray(content)
    if format not in ("avif", "heic"):
        return content
    found = layout(content, format)
    for start, end in found.parts:
        inside = start + _BOXES.get(content[start + 4 : start + 8], 1 << 30) <= at < end
        if inside:
            struct.pack_into(">I", result, start, max(0, end - start + by))
        if content[start + 4 : start + 8] == b"iloc":
            for place in range(start + 16, min(end, start + _OPEN_ENDED) - 3, 2):
                (value,) = struct.unpack_from(">I", content, place)
                if at < value < len(content):
                    struct.pack_into(">I", result, place, max(0, value + by))
    return bytes(result)


def _png(content: bytes, found: Layout) -> None:
    position = 8
    while position + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        found.add(position, ">I")
        found.add(position + 8, _PNG_FIELDS.get(kind, ">B"))
        found.kinds.append((position + 4, position + 8))
        if position + 12 + length > len(content):
            return
        found.parts.append((position, position + 12 + length))
        position += 12 + length


def _jpeg(content: bytes, found: Layout) -> None:
    position = 2
    while match := _MARKER.search(content, position):
        start, code = match.start(), content[match.start() + 1]
        found.kinds.append((start, start + 2))
        position = start + 2
        if code in _ALONE and code != _SCAN:
            continue
        (length,) = struct.unpack_from(">H", content, position)
        found.add(position, ">HBHHBBBB" if code in _FRAMES else ">HBBBB")
        if content[start + 4 : start + 10] == b"Exif\0\0":
            _shifted(content[start + 10 :], found, start + 10)
        position += length
        if code == _SCAN and (following := re.compile(rb"\xff[^\0\xd0-\xd7]", re.DOTALL).search(content, position)):
            position = following.start()
        found.parts.append((start, position))


def _shifted(content: bytes, found: Layout, by: int) -> None:
    inner = layout(content, "tiff")
    found.fields.extend((offset + by, kind) for offset, kind in inner.fields)


def _gif(content: bytes, found: Layout) -> None:
    found.add(6, "<HHBBB")
    position = 13 + _palette(content[10])
    while position < len(content):
        start, kind = position, content[position]
        found.kinds.append((start, start + 1))
        if kind == ord(","):
            found.add(position + 1, "<HHHHB")
            position += 10 + _palette(content[position + 9]) + 1
            found.add(position - 1, "<BB")
        elif kind == ord("!"):
            found.add(position + 1, "<BBBHB")
            position += 2
        else:
            return
        while length := content[position]:
            found.add(position, "<B")
            position += 1 + length
        position += 1
        found.parts.append((start, position))


def _palette(flags: int) -> int:
    return 6 << (flags & 7) if flags & 0x80 else 0


def _webp(content: bytes, found: Layout, position: int = 12) -> None:
    if position == 12:
        found.add(4, "<I")
    while position + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, position)
        fields = {b"VP8X": "<IHBHB", b"VP8 ": "<BHBHBHH", b"VP8L": "<BI", b"ANIM": "<IH", b"ANMF": "<HBHBHBHBHBB"}
        found.add(position + 4, "<I")
        found.add(position + 8, fields.get(kind, "<B"))
        found.kinds.append((position, position + 4))
        end = position + 8 + length + length % 2
        if kind == b"ANMF":
            _webp(content[:end], found, position + 24)
        found.parts.append((position, min(end, len(content))))
        position = end


def _tiff(content: bytes, found: Layout) -> None:
    order, big = ("<" if content[:1] == b"I" else ">"), content[2:4] in (b"+\0", b"\0+")
    pointer, count, entry, size = ("Q", "Q", "HHQQ", 20) if big else ("I", "H", "HHII", 12)
    places = [8 if big else 4]  # of the numbers that say where directories lie
    for place in islice(places, 6):
        found.add(place, order + pointer)
        (position,) = struct.unpack_from(order + pointer, content, place)
        if not position:
            continue
        (entries,) = struct.unpack_from(order + count, content, position)
        found.add(position, order + count)
        position += struct.calcsize(count)
        for _ in range(min(entries, 64)):
            tag, kind, values, value = struct.unpack_from(order + entry, content, position)
            found.add(position, order + entry)
            found.kinds.append((position, position + 2))
            found.parts.append((position, position + size))
            is_away = values * _TIFF_BYTES.get(kind, 0) > struct.calcsize(pointer)
            if is_away:
                found.add(value, order + ("H" if kind == 3 else "I") * min(4, values))
            if tag == _SUB_DIRECTORIES and not big:
                places += [value + 4 * index for index in range(min(4, values))] if is_away else [position + 8]
            position += size
        places.append(position)


def _bmp(content: bytes, found: Layout) -> None:
    found.add(2, "<IHHIIIIHHIIIIII")
    found.add(18, "<HHHH")  # OS/2's
    found.add(54, "<IIII")
    (start,) = struct.unpack_from("<I", content, 10)
    start = max(54, min(start, len(content)))
    found.parts += [(0, 14), (14, 54), (54, start), *((at, at + 32) for at in range(start, len(content), 32))]


def _boxes(content: bytes, found: Layout, position: int = 0, end: int | None = None) -> None:
    end = len(content) if end is None else end
    while position + 8 <= end:
        length, kind = struct.unpack_from(">I4s", content, position)
        found.add(position, ">I")
        found.kinds.append((position + 4, position + 8))
        if length < 8 or position + length > end:
            return
        found.parts.append((position, position + length))
        if kind in _BOXES:
            _boxes(content, found, position + _BOXES[kind], position + length)
        elif kind != b"mdat":
            for offset in range(position + 8, min(position + length, position + _OPEN_ENDED) - 3, 4):
                found.add(offset, ">I")
                found.add(offset, ">HBB")
        position += length


_WALKS: dict[str, Callable[[bytes, Layout], None]] = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": _gif,
    "webp": _webp,
    "tiff": _tiff,
    "bmp": _bmp,
    "avif": _boxes,
    "heic": _boxes,
}

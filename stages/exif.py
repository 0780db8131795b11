"""The directories of a TIFF, and of an EXIF block, which is one: TIFF 6.0, section 2, and BigTIFF."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from stages.container_info import MAX_PARTS

_BIG = 43
# The integers of each type; a rational is two.
_INTEGERS = {
    1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
_Entry = tuple[int, int, int, bytes]  # a tag, a type, the number of values, and the values or where they lie


@dataclass(frozen=True, slots=True)
class _Layout:
    order: str
    pointer: struct.Struct
    count: struct.Struct
    entry: struct.Struct


_LAYOUTS = {
    (mark, is_big): _Layout(
        order,
        struct.Struct(order + ("Q" if is_big else "I")),
        struct.Struct(order + ("Q" if is_big else "H")),
        struct.Struct(order + ("HHQ8s" if is_big else "HHI4s")),
    )
    for mark, order in ((b"II", "<"), (b"MM", ">"))
    for is_big in (False, True)
}


class Directories:
    """Reads directories. Every method raises KeyError, OverflowError or struct.error if what it reads is damaged."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._layout = _LAYOUTS[content[:2], _BIG in content[2:4]]

    @property
    def first(self) -> int:
        """The offset of the first directory."""
        pointer = self._layout.pointer
        return int(pointer.unpack_from(self._content, pointer.size)[0])

    def find(self, start: int, *tags: int) -> dict[int, _Entry]:
        """Return those of these fields that the directory at an offset has."""
        layout = self._layout
        (count,) = layout.count.unpack_from(self._content, start)
        start += layout.count.size
        fields = self._content[start : start + min(count, MAX_PARTS) * layout.entry.size]
        missing = len(fields) % layout.entry.size
        entries = layout.entry.iter_unpack(fields[: len(fields) - missing])
        found = {entry[0]: entry for entry in entries if entry[0] in tags}
        if not found and len(fields) < count * layout.entry.size:
            raise struct.error
        return found

    def read(self, entry: _Entry, limit: int) -> tuple[int, ...]:
        """Return the integers in the first values of a field, at most `limit` of these."""
        _, field_type, count, value = entry
        one, pointer = self._layout.order + _INTEGERS[field_type], self._layout.pointer
        integers = self._layout.order + min(count, limit) * _INTEGERS[field_type]
        if count * struct.calcsize(one) <= len(value):
            return struct.unpack_from(integers, value)
        return struct.unpack_from(integers, self._content, pointer.unpack(value)[0])

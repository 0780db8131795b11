"""Single fields of EXIF, of a TIFF or of a block in another file, whatever else is damaged there."""

from __future__ import annotations

import struct

from stages.container_info import MAX_PARTS
from stages.tiff.fields import INTEGERS, read_file_layout

_Entry = tuple[int, int, int, bytes]  # a tag, a type, the number of values, and the values or where they lie


class ExifDirectories:
    """Reads directories. Every method raises KeyError, OverflowError or struct.error if what it reads is damaged."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._layout = read_file_layout(content)

    @property
    def first(self) -> int:
        """The offset of the first directory."""
        return self._layout.first_directory(self._content)

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
        one, pointer = self._layout.order + INTEGERS[field_type], self._layout.pointer
        integers = self._layout.order + min(count, limit) * INTEGERS[field_type]
        if count * struct.calcsize(one) <= len(value):
            return struct.unpack_from(integers, value)
        return struct.unpack_from(integers, self._content, pointer.unpack(value)[0])

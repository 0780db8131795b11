"""How the directories of a TIFF are laid out, and of an EXIF block, which is one: TIFF 6.0, section 2, and BigTIFF."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_BIG = 43
# The integers of each type, a rational as two. BigTIFF adds 16 to 18. The codec takes a size of a signed type too.
INTEGERS = {
    1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


@dataclass(frozen=True, slots=True)
class FileLayout:
    """The order of bytes, and the fields of a header and its directories.

    A pointer stands in the second half of the header, and as large a value stands in an entry itself. An entry is a
    tag, a type, the number of values, and the values or where they lie.
    """

    order: str
    is_big: bool
    pointer: struct.Struct
    count: struct.Struct
    entry: struct.Struct

    def first_directory(self, content: bytes) -> int:
        """Return where the header says that the first directory lies. Raises struct.error if it ends too early."""
        return int(self.pointer.unpack_from(content, self.pointer.size)[0])


_LAYOUTS = {
    (mark, is_big): FileLayout(
        order,
        is_big,
        struct.Struct(order + ("Q" if is_big else "I")),
        struct.Struct(order + ("Q" if is_big else "H")),
        struct.Struct(order + ("HHQ8s" if is_big else "HHI4s")),
    )
    for mark, order in ((b"II", "<"), (b"MM", ">"))
    for is_big in (False, True)
}


def read_file_layout(content: bytes) -> FileLayout:
    """Return the layout that the header states. Raises KeyError if it states no order of bytes."""
    return _LAYOUTS[content[:2], _BIG in content[2:4]]

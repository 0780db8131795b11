"""Reading a TIFF's directories without Pillow, which would make a Python object for each strip: TIFF 6.0, section 2."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from stages.container_info import MAX_PARTS, check_part_count
from stages.errors import ImageCorrupt, ImageTruncated, UnsupportedFormat

# TIFF 6.0, sections 8, 11, 12, 15, 16, 18, 19 and 21; TIFF/EP and DNG for the last two
SUBFILE_TYPE, OLD_SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, STRIP_BYTES, PLANAR, PREDICTOR = 273, 277, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING = 332, 338, 339, 530
SUB_DIRECTORIES, DNG_VERSION = 330, 50_706
_NEEDED = frozenset((
    SUBFILE_TYPE, OLD_SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIP_OFFSETS, SAMPLES, STRIP_BYTES,
    PLANAR, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT,
    SUBSAMPLING, SUB_DIRECTORIES, DNG_VERSION,
))  # fmt: skip
_PRIVATE = 32_768  # private tags start here: most are not read, and they are often broken
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
# BigTIFF adds 16 to 18. The codec takes a size of a signed type too.
_TYPE_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}

Tags = dict[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Directory:
    """The tags of one page that say what it is and how it is stored, and where the next directory lies (0: nowhere)."""

    tags: Tags
    next: int


def first_directory(original: bytes) -> int:
    """Return where the header says that the first directory lies. Raises UnsupportedFormat if Pillow cannot find it."""
    order, big = _byte_order(original)
    if big and order == ">":
        message = "A big-endian BigTIFF is not supported."
        raise UnsupportedFormat(message)
    (start,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", original, 8 if big else 4)
    return int(start)


def start_with_directory(original: bytes, start: int) -> bytes:
    """Return a copy of the file whose first directory is the one at `start`."""
    order, big = _byte_order(original)
    if big:
        return original[:8] + struct.pack(f"{order}Q", start) + original[16:]
    return original[:4] + struct.pack(f"{order}I", start) + original[8:]


def read_directory(original: bytes, start: int) -> Directory:
    """Read one directory. Raises ImageTruncated, ImageCorrupt or ImageTooLarge; struct.error if it ends too early."""
    order, big = _byte_order(original)
    pointer, count, entry, inline = ("Q", "Q", "HHQ8s", 8) if big else ("I", "H", "HHI4s", 4)
    (entries,) = struct.unpack_from(order + count, original, start)
    position = start + struct.calcsize(order + count)
    end = position + min(entries, MAX_PARTS) * struct.calcsize(order + entry)
    if end > len(original):
        raise ImageTruncated
    tags: Tags = {}
    for number, kind, values, content in struct.iter_unpack(order + entry, original[position:end]):
        length, offset = values * _TYPE_BYTES.get(kind, 0), 0
        if length > inline:
            (offset,) = struct.unpack(order + pointer, content)
            if offset + length > len(original) and number < _PRIVATE:
                raise ImageTruncated
        if number in _NEEDED and kind in _TYPE_CODES and values:
            check_part_count(values, "strips")
            layout = f"{order}{values}{_TYPE_CODES[kind]}"
            found = struct.unpack_from(layout, original if length > inline else content, offset)
            if tags.setdefault(number, found) != found:  # Pillow takes the last one, the codec the first
                message = f"The image is damaged: its TIFF directory has tag {number} twice, with different values."
                raise ImageCorrupt(message)
    has_next = end + struct.calcsize(order + pointer) <= len(original)
    return Directory(tags, struct.unpack_from(order + pointer, original, end)[0] if has_next else 0)


def _byte_order(original: bytes) -> tuple[str, bool]:
    """Return the order of bytes, and whether this is a BigTIFF."""
    return "<" if original[:1] == b"I" else ">", original[2:4] in (b"+\0", b"\0+")

"""Reading a TIFF's directories without Pillow, which would make a Python object for each strip: TIFF 6.0, section 2."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from stages.container_info import MAX_PARTS, PartCounter, check_part_count
from stages.errors import ImageCorrupt, ImageTruncated, UnsupportedFormat
from stages.tiff.fields import INTEGERS, TYPE_BYTES, read_file_layout

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
Tags = dict[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Directory:
    """The tags of one page that say what it is and how it is stored, and where the next directory lies (0: nowhere)."""

    tags: Tags
    next: int


def first_directory(original: bytes) -> int:
    """Return where the header says that the first directory lies. Raises UnsupportedFormat if Pillow cannot find it."""
    layout = read_file_layout(original)
    if layout.is_big and layout.order == ">":
        message = "A big-endian BigTIFF is not supported."
        raise UnsupportedFormat(message)
    return layout.first_directory(original)


def start_with_directory(original: bytes, start: int) -> bytes:
    """Return a copy of the file whose first directory is the one at `start`."""
    pointer = read_file_layout(original).pointer
    return original[: pointer.size] + pointer.pack(start) + original[2 * pointer.size :]


def read_directory(original: bytes, start: int) -> Directory:
    """Read one directory. Raises ImageTruncated, ImageCorrupt or ImageTooLarge; struct.error if it ends too early."""
    layout = read_file_layout(original)
    pointer, (count,) = layout.pointer, layout.count.unpack_from(original, start)
    position = start + layout.count.size
    end = position + min(count, MAX_PARTS) * layout.entry.size
    if end > len(original):
        raise ImageTruncated
    tags: Tags = {}
    repeated = PartCounter("strips")
    for number, kind, values, content in layout.entry.iter_unpack(original[position:end]):
        length, offset = values * TYPE_BYTES.get(kind, 0), 0
        if length > pointer.size:
            (offset,) = pointer.unpack(content)
            if offset + length > len(original) and number < _PRIVATE:
                raise ImageTruncated
        if number in _NEEDED and len(INTEGERS.get(kind, "")) == 1 and values:
            check_part_count(values, "strips")
            repeated.add(values if number in tags else 0)
            place = original if length > pointer.size else content
            found = struct.unpack_from(f"{layout.order}{values}{INTEGERS[kind]}", place, offset)
            if tags.setdefault(number, found) != found:  # Pillow takes the last one, the codec the first
                message = f"The image is damaged: its TIFF directory has tag {number} twice, with different values."
                raise ImageCorrupt(message)
    has_next = end + pointer.size <= len(original)
    return Directory(tags, pointer.unpack_from(original, end)[0] if has_next else 0)

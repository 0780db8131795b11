"""The boxes of an ISO base media file, and where they say that a coded picture lies: ISO/IEC 14496-12 and 23008-12."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from stages.container_info import PartCounter, check_part_count
from stages.errors import ImageCorrupt, ImageTruncated

FULL = 4  # bytes of version and flags, with which some boxes begin
_NEEDED = frozenset((b"ftyp", b"meta", b"moov", b"mdat"))
_NESTED = (b"mdia", b"minf", b"stbl")
_CHUNK_OFFSETS = {b"stco": "I", b"co64": "Q"}
# Boxes of which each place has one at most. A decoder refuses a second one, or reads the first or both.
_SINGLE = frozenset(
    (b"meta", b"moov", b"idat", b"iinf", b"iloc", b"iprp", b"ipco", b"iref", b"stsd", b"stsz", b"stsc", *_CHUNK_OFFSETS)
)


def split_boxes(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the kind and the payload of each box. Raises ImageTruncated or struct.error if one does not fit."""
    position, parts = 0, 0
    while position < len(content):
        check_part_count(parts := parts + 1, "boxes")
        kind, start, end = _measure_box(content, position)
        yield kind, content[start:end]
        position = end


def strip_trailer(file: memoryview) -> memoryview:
    """Return the file up to its last box. Raises ImageTruncated or struct.error if one that is needed does not fit."""
    position, parts = 0, 0
    while position < len(file):
        check_part_count(parts := parts + 1, "boxes")
        try:
            _, _, position = _measure_box(file, position)
        except (ImageTruncated, struct.error):
            if bytes(file[position + 4 : position + 8]) in _NEEDED:
                raise
            break
    return file[:position]


def _measure_box(content: memoryview, position: int) -> tuple[bytes, int, int]:
    """Return the kind of the box at a position, and where its payload starts and ends."""
    length, kind = struct.unpack_from(">I4s", content, position)
    header = 8
    if length == 0:  # the box extends to the end
        length = len(content) - position
    if length == 1:
        (length,), header = struct.unpack_from(">Q", content, position + 8), 16
    if length < header or position + length > len(content):
        raise ImageTruncated
    return kind, position + header, position + length


def index_boxes(content: memoryview) -> dict[bytes, memoryview]:
    """Return the payload of each kind of box. Raises as `split_boxes` does, and ImageCorrupt for a forbidden second."""
    found: dict[bytes, memoryview] = {}
    for kind, payload in split_boxes(content):
        if kind in _SINGLE and kind in found:
            raise ImageCorrupt
        found[kind] = payload
    return found


def index_meta(file: memoryview) -> dict[bytes, memoryview]:
    """Return the boxes that describe the file's items, or none. Raises as `index_boxes` does."""
    return index_boxes(index_boxes(file).get(b"meta", file[:0])[FULL:])


def index_track_metas(file: memoryview) -> Iterator[dict[bytes, memoryview]]:
    """Yield the boxes that describe the items of each track that has its own. Raises as `index_boxes` does."""
    for kind, track in split_boxes(index_boxes(file).get(b"moov", file[:0])):
        for inner, meta in split_boxes(track) if kind == b"trak" else ():
            if inner == b"meta":
                yield index_boxes(meta[FULL:])


def find_items(file: memoryview, item_type: bytes) -> Iterator[memoryview]:
    """Yield the content of each item of a type. Raises IndexError, struct.error or ImageCorrupt as it reads them."""
    boxes = index_meta(file)
    ids = {item for item, found in read_item_types(boxes.get(b"iinf", file[:0])) if found == item_type}
    if b"iloc" in boxes:
        yield from _read_locations(boxes[b"iloc"], ids, (file, boxes.get(b"idat", file[:0])))


def find_tracks(file: memoryview, coding: bytes) -> Iterator[list[memoryview]]:
    """Yield the samples of each track of a coding. Raises as `find_items` does."""
    counter, left = PartCounter("samples"), len(file)
    for name, track in split_boxes(index_boxes(file).get(b"moov", file[:0])):
        tables = [track] if name == b"trak" else []
        for nested in _NESTED:
            tables = [inner for table in tables for found, inner in split_boxes(table) if found == nested]
        for boxes in map(index_boxes, tables):
            if coding in bytes(boxes.get(b"stsd", b"")):  # in any entry: a decoder uses the first that it knows
                samples = _read_samples(file, boxes, counter)
                left -= sum(map(len, samples))
                if left < 0:  # else tracks that share their bytes would be read again and again
                    raise ImageCorrupt
                yield samples


def read_item_types(infos: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the id of each item, and its type: 23008-12 requires entries of version 2 or 3."""
    for kind, entry in split_boxes(infos[FULL + (4 if infos and infos[0] else 2) :]):
        if kind == b"infe" and entry[0] in (2, 3):
            id_bytes = 2 if entry[0] == 2 else 4  # noqa: PLR2004  a box's version
            (item,) = struct.unpack_from(">H" if id_bytes == 2 else ">I", entry, FULL)  # noqa: PLR2004
            yield item, entry[FULL + id_bytes + 2 : FULL + id_bytes + 6]


class Numbers:
    """Reads big-endian numbers one after the other. Raises IndexError at the end."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._position = content, 0

    def read(self, length: int) -> int:
        """Return the next number, of `length` bytes."""
        end = self._position + length
        if end > len(self._content):
            raise IndexError
        number = int.from_bytes(self._content[self._position : end])
        self._position = end
        return number


def _read_locations(
    locations: memoryview, ids: set[int], sources: tuple[memoryview, memoryview]
) -> Iterator[memoryview]:
    """Yield the contents of the items with these ids: by the version and the widths at the start of the `iloc` box."""
    numbers, left, parts = Numbers(locations), len(sources[0]), 0
    version = numbers.read(FULL) >> 24
    widths = numbers.read(2)
    offset_bytes, length_bytes, base_bytes = widths >> 12, widths >> 8 & 15, widths >> 4 & 15
    id_bytes, index_bytes = (4 if version > 1 else 2), (widths & 15 if version else 0)
    for _ in range(numbers.read(id_bytes)):
        item, method = numbers.read(id_bytes), numbers.read(2) & 15 if version else 0
        numbers.read(2)
        base, extents = numbers.read(base_bytes), []
        for _ in range(numbers.read(2)):
            check_part_count(parts := parts + 1, "extents")
            numbers.read(index_bytes)
            start, length = base + numbers.read(offset_bytes), numbers.read(length_bytes)
            source = sources[1 if method == 1 else 0]
            extents.append(source[start : start + length if length else None])
        if item in ids:
            left -= sum(map(len, extents))
            if left < 0:  # else items that share their bytes would be read again and again
                raise ImageCorrupt
            yield extents[0] if len(extents) == 1 else memoryview(b"".join(extents))


def _read_samples(file: memoryview, tables: dict[bytes, memoryview], counter: PartCounter) -> list[memoryview]:
    """Return a track's samples: their sizes are in `stsz`, their places in `stsc` and in one of `stco` and `co64`."""
    size_table, chunk_table = (tables.get(kind, file[:0]) for kind in (b"stsz", b"stsc"))
    size, count = struct.unpack_from(">II", size_table, FULL)
    counter.add(count)
    sizes = iter([size] * count if size else struct.unpack_from(f">{count}I", size_table, FULL + 8))
    (runs,) = struct.unpack_from(">I", chunk_table, FULL)
    check_part_count(runs, "chunks")
    firsts = dict(struct.unpack_from(">II", chunk_table, FULL + 4 + 12 * run) for run in range(runs))
    samples, per_chunk = [], 0
    for number, start in enumerate(_read_chunks(tables), 1):
        per_chunk = firsts.get(number, per_chunk)
        position = start
        for _, length in zip(range(per_chunk), sizes, strict=False):
            samples.append(file[position : position + length])
            position += length
    return samples


def _read_chunks(tables: dict[bytes, memoryview]) -> tuple[int, ...]:
    kinds = [kind for kind in _CHUNK_OFFSETS if kind in tables]
    if len(kinds) != 1:
        raise ImageCorrupt
    (count,) = struct.unpack_from(">I", tables[kinds[0]], FULL)
    check_part_count(count, "chunks")
    return struct.unpack_from(f">{count}{_CHUNK_OFFSETS[kinds[0]]}", tables[kinds[0]], FULL + 4)

"""TIFF files of any layout, written by hand: TIFF 6.0 and BigTIFF."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

Number = int | float
Row = Sequence[tuple[Number, ...]]  # of pixels, each a tuple of samples
RAW, DEFLATE, PACKBITS = 1, 8, 32_773
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
WHITE_IS_ZERO, GREY, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
_CODES = {
    UNSIGNED: {8: "B", 16: "H", 32: "I", 64: "Q"},
    SIGNED: {8: "b", 16: "h", 32: "i", 64: "q"},
    FLOAT: {16: "e", 32: "f", 64: "d"},
}
_SHORT, _LONG, _UNDEFINED = (3, "H"), (4, "I"), (7, "B")
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


@dataclass(frozen=True, kw_only=True)
class TiffPage:
    """A picture and how it is stored: in one strip, unless `rows_per_strip` or the size of a tile is given.

    `chunks` are strips or tiles that are packed already. `tags` are added to the directory or replace its own; None
    leaves a tag out. `below` are pages that only the SubIFDs tag leads to.
    """

    rows: Sequence[Row] = ()
    bits: int = 8
    photometric: int = RGB
    compression: int = RAW
    sample_format: int = UNSIGNED
    extra: tuple[int, ...] = ()
    planar: bool = False
    rows_per_strip: int = 0
    tile: tuple[int, int] = (0, 0)
    predictor: int = 1
    fill_order: int = 1
    chunks: Sequence[bytes] = ()
    tags: dict[int, Sequence[int] | None] = field(default_factory=dict)
    below: Sequence[TiffPage] = ()


def write_tiff(*pages: TiffPage, order: str = "<", big: bool = False) -> bytes:
    """Write a file of these pages."""
    mark = b"II" if order == "<" else b"MM"
    content = bytearray(mark + struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0, 0) if big else (42, 0))))
    link = 8 if big else 4
    for page in pages:
        start, following = _append_page(content, page, order, big=big)
        struct.pack_into(order + ("Q" if big else "I"), content, link, start)
        link = following
    return bytes(content)


def _append_page(content: bytearray, page: TiffPage, order: str, *, big: bool) -> tuple[int, int]:
    """Append the pixels, the values that are too long for the directory, and the directory.

    Return where it starts, and where it has its link to the next one.
    """
    below = [_append_page(content, child, order, big=big)[0] for child in page.below]
    chunks = page.chunks or [_pack_chunk(rows, page, order) for plane in _planes(page) for rows in _chunks(plane, page)]
    starts: list[int] = []
    for chunk in chunks:
        starts.append(len(content))
        content += chunk
    count, entry, inline = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    tags = {**_tags(page), (324 if any(page.tile) else 273): starts, 330: below or None}
    tags = {**tags, (325 if any(page.tile) else 279): [len(chunk) for chunk in chunks], **page.tags}
    kept = {tag: values for tag, values in sorted(tags.items()) if values is not None}
    directory = struct.pack(order + count, len(kept))
    for tag, values in kept.items():
        kind, code = _LONG if max(values) > 65_535 or tag in (273, 324, 330) else _SHORT
        if isinstance(values, bytes):
            kind, code = _UNDEFINED
        packed = struct.pack(f"{order}{len(values)}{code}", *values)
        if len(packed) > inline:
            content += b"\0" * (len(content) % 2)
            packed, away = struct.pack(order + ("Q" if big else "I"), len(content)), packed
            content += away
        directory += struct.pack(order + entry, tag, kind, len(values)) + packed.ljust(inline, b"\0")
    content += b"\0" * (len(content) % 2)
    start = len(content)
    content += directory + bytes(inline)
    return start, len(content) - inline


def _tags(page: TiffPage) -> dict[int, Sequence[int] | None]:
    width, height, samples = (len(page.rows[0]), len(page.rows), len(page.rows[0][0])) if page.rows else (0, 0, 3)
    tiled = any(page.tile)
    return {
        256: [width],
        257: [height],
        258: [page.bits] * samples,
        259: [page.compression],
        262: [page.photometric],
        266: [page.fill_order] if page.fill_order != 1 else None,
        277: [samples],
        278: None if tiled else [page.rows_per_strip or max(1, height)],
        284: [2 if page.planar else 1],
        317: [page.predictor] if page.predictor != 1 else None,
        322: [page.tile[0]] if tiled else None,
        323: [page.tile[1]] if tiled else None,
        338: page.extra or None,
        339: [page.sample_format] * samples if page.sample_format != UNSIGNED else None,
    }


def _planes(page: TiffPage) -> list[Sequence[Row]]:
    if not page.planar:
        return [page.rows]
    return [[[(pixel[band],) for pixel in row] for row in page.rows] for band in range(len(page.rows[0][0]))]


def _chunks(rows: Sequence[Row], page: TiffPage) -> list[Sequence[Row]]:
    width, height = page.tile
    if not any(page.tile):
        step = page.rows_per_strip or len(rows)
        return [rows[top : top + step] for top in range(0, len(rows), step)]
    blank = (0,) * len(rows[0][0])
    wide = [[*row, *[blank] * (-len(row) % width)] for row in rows]
    wide += [[blank] * len(wide[0])] * (-len(wide) % height)
    corners = [(top, left) for top in range(0, len(wide), height) for left in range(0, len(wide[0]), width)]
    return [[row[left : left + width] for row in wide[top : top + height]] for top, left in corners]


def _pack_chunk(rows: Sequence[Row], page: TiffPage, order: str) -> bytes:
    lines = [_pack_row(row, page, order) for row in rows]
    packed = b"".join(lines)
    if page.compression == DEFLATE:
        packed = zlib.compress(packed)
    if page.compression == PACKBITS:  # literal runs only
        pieces = [line[start : start + 128] for line in lines for start in range(0, len(line), 128)]
        packed = b"".join(bytes((len(piece) - 1,)) + piece for piece in pieces)
    return packed if page.fill_order == 1 else packed.translate(_REVERSED)


def _pack_row(row: Row, page: TiffPage, order: str) -> bytes:
    """Pack whole bytes in the file's order, and other depths from the highest bit on, the row filled to a byte."""
    bits, samples = page.bits, [value for pixel in row for value in pixel]
    if page.predictor == 2:
        step = len(row[0])
        before = [0] * step + samples[:-step]
        samples = [(int(value) - int(last)) % (1 << bits) for value, last in zip(samples, before, strict=True)]
    if bits in _CODES[page.sample_format]:
        code = _CODES[page.sample_format][bits]
        return struct.pack(f"{order}{len(samples)}{code}", *(samples if code in "efd" else map(int, samples)))
    text = "".join(f"{int(value) % (1 << bits):0{bits}b}" for value in samples)
    size = -(-len(text) // 8)
    return int(text.ljust(8 * size, "0"), 2).to_bytes(size, "big")

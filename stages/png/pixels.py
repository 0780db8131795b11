"""The compressed pixels of a PNG: W3C PNG (Third Edition), 7.2, 8.1 and 10.1."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import takewhile

from stages.png.chunks import ADLER_BYTES, GREY, IDAT, PALETTE, RGB, read_header, walk_chunks

_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, 4: 2, 6: 4}
_WHOLE = [(0, 0, 1, 1)]
# The passes of an interlaced image: the first column and row, and the steps to the next ones.
_ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
_STEP = 1024 * 1024


def read_parts(content: bytes, position: int) -> Iterator[bytes]:
    """Yield the pixels from the first IDAT chunk on, but for the last byte: zlib's checksum is never complete.

    What the end of the file cuts off of that checksum is made up.
    """
    chunks = [*takewhile(lambda chunk: chunk.kind == IDAT, walk_chunks(content, position))]
    left = sum(chunk.end - chunk.start for chunk in chunks) - 1
    for chunk in chunks:
        if part := content[chunk.start : min(chunk.end, chunk.start + left)]:
            yield part
        left -= chunk.end - chunk.start
    yield bytes(max(0, min(chunks[-1].end - len(content), ADLER_BYTES) - 1))


def find_last(content: bytes) -> tuple[int, int]:
    """Return the column and the row of the pixel that is decoded last."""
    width, height, _, passes = _read_layout(content)
    left, top, across, down = passes[-1]
    return left + (width - 1 - left) // across * across, top + (height - 1 - top) // down * down


def has_all(content: bytes, position: int) -> bool:
    """Tell whether there are as many pixels from a position on as the header states. They are unpacked for that."""
    width, height, bits, passes = _read_layout(content)
    left, unpacking = 0, zlib.decompressobj()
    for first, top, across, down in passes:
        row = 1 + (len(range(first, width, across)) * bits + 7) // 8
        left += row * len(range(top, height, down))
    for part in read_parts(content, position):
        packed = part
        while packed and left > 0 and not unpacking.eof:
            left -= len(unpacking.decompress(packed, _STEP))
            packed = unpacking.unconsumed_tail
    return left <= 0


def _read_layout(content: bytes) -> tuple[int, int, int, list[tuple[int, int, int, int]]]:
    """Return the width, the height, the bits of a pixel and the passes that have pixels."""
    header = read_header(content)
    passes = _ADAM7 if header.interlace else _WHOLE
    passes = [each for each in passes if each[0] < header.width and each[1] < header.height]
    return *header.size, header.depth * _CHANNELS[header.colour], passes

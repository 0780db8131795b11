"""The runs of a compressed BMP, which may leave pixels out: Microsoft's "Bitmap Compression", and OS/2's of 24 bits."""

from __future__ import annotations

from collections.abc import Iterator

from stages.bmp.header import RLE4, RLE24, BmpHeader
from stages.errors import ImageTruncated

_END_OF_ROW, _END, _MOVE = 0, 1, 2  # a larger number is that of pixels without runs
_NIBBLES = [bytes(divmod(byte, 16)) for byte in range(256)]


def split_runs(content: bytes, header: BmpHeader) -> Iterator[tuple[int, int, int]]:
    """Yield the length of each run, or 0, the byte behind it and its position.

    The last is the end of the image, unless the file ends before it.
    """
    position, is_direct = header.start, header.coding == RLE24
    while position + 1 < len(content):
        count, value = content[position], content[position + 1]
        yield count, value, position + 1
        position += 4 if count and is_direct else 2
        if not count and value > _END:
            position += 2 if value == _MOVE else _literal_bytes(value, header.coding) + 1 & ~1
        elif not count and value == _END:
            return


def draw_runs(content: bytes, header: BmpHeader, blank: int) -> bytearray:
    """Return the rows as they lie in the file: an index a pixel, or blue, green and red. What is left out is `blank`.

    Raises ImageTruncated if the file ends before its last pixel.
    """
    width, height, size = header.width, header.height, 3 if header.coding == RLE24 else 1
    canvas, x, y = bytearray([blank]) * (width * height * size), 0, 0
    for count, value, position in split_runs(content, header):
        if count or value > _MOVE:
            pixels = _repeat(content, header.coding, count, position) if count else _literal(content, header, position)
            visible = pixels[: max(0, width - x) * size] if y < height else b""
            canvas[(y * width + x) * size : (y * width + x) * size + len(visible)] = visible
            x += len(pixels) // size
        elif value == _MOVE:
            right, up = content[position + 1 : position + 3].ljust(2, b"\0")
            x, y = x + right, y + up
        elif value == _END_OF_ROW:
            x, y = 0, y + 1
        else:
            return canvas
    if y < height - 1 or (y < height and x < width):
        raise ImageTruncated
    return canvas


def _repeat(content: bytes, coding: int, count: int, position: int) -> bytes:
    if coding == RLE24:
        return content[position : position + 3] * count
    if coding == RLE4:
        return (_NIBBLES[content[position]] * 128)[:count]
    return content[position : position + 1] * count


def _literal(content: bytes, header: BmpHeader, position: int) -> bytes:
    count, start = content[position], position + 1
    stored = content[start : start + _literal_bytes(count, header.coding)]
    return b"".join(map(_NIBBLES.__getitem__, stored))[:count] if header.coding == RLE4 else stored


def _literal_bytes(count: int, coding: int) -> int:
    if coding == RLE4:
        return (count + 1) // 2
    return 3 * count if coding == RLE24 else count

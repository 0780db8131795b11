"""BMPs built field by field, of every version of the header: BITMAPINFOHEADER to V5, and OS/2's two."""

from __future__ import annotations

import struct

MASKS_32 = (0xFF0000, 0xFF00, 0xFF)
_FIRST_MASKS, _V4, _V5 = 52, 108, 124


def bmp(  # noqa: PLR0913  a BMP has this many parts
    size: tuple[int, int],
    bits: int,
    pixels: bytes,
    *,
    header: int = 40,
    coding: int = 0,
    masks: tuple[int, ...] = (),
    palette: list[tuple[int, int, int]] | None = None,
    colours: int = 0,
    gap: int = 0,
) -> bytes:
    """Build a BMP; a negative height is top down. Masks are in the header if it has room for them, else behind it."""
    entry, stated = 4, struct.pack("<IiiHHIIiiII", header, *size, 1, bits, coding, 0, 0, 0, colours, 0)
    if header == 12:
        entry, stated = 3, struct.pack("<I4H", header, *size, 1, bits)
    table = struct.pack(f"<{len(masks)}I", *masks)
    if header >= _FIRST_MASKS and header != 64:
        stated, table = stated + table, b""
    stated = stated.ljust(header, b"\0")[:header]
    table += b"".join(bytes((blue, green, red, 0))[:entry] for red, green, blue in palette or ())
    start = 14 + len(stated) + len(table) + gap
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, start) + stated + table + bytes(gap) + pixels


def pack_rows(rows: list[list[int]], bits: int) -> bytes:
    """Pack numbers of so many bits, in the order of the rows; each row is padded to four bytes."""
    packed = b""
    for row in rows:
        if bits < 8:
            number = sum(value << bits * (len(row) - 1 - place) for place, value in enumerate(row))
            content = (number << -len(row) * bits % 8).to_bytes((len(row) * bits + 7) // 8)
        else:
            content = b"".join(value.to_bytes(bits // 8, "little") for value in row)
        packed += content + bytes(-len(content) % 4)
    return packed

"""Where each format states a size, so that a mutation can change one of them and leave the others."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from random import Random

from tests.support.avif import avif, coded, restate_stream

_STATED: dict[str, tuple[tuple[bytes, int, str], ...]] = {
    "jpeg": ((rb"\xff[\xc0-\xc2]", 5, ">HH"),),
    "png": ((rb"IHDR", 4, ">II"), (rb"fcTL", 8, ">II")),
    "gif": ((rb"GIF8", 6, "<HH"), (rb",(?=\x00{4})", 5, "<HH")),
    "webp": (
        (rb"VP8X", 12, "<I"),
        (rb"ANMF", 14, "<I"),
        (rb"ANMF", 17, "<I"),
        (rb"\x9d\x01\x2a", 3, "<HH"),
        (rb"VP8L", 9, "<I"),
    ),
    "tiff": (
        (rb"(?s)[\x00\x01\x15\x16\x42\x43]\x01.\x00\x01\x00\x00\x00", 8, "<I"),
        (rb"(?s)[\x00\x16]\x01.\x00\x01\x00\x00\x00", 0, "<H"),
    ),
    "bmp": ((rb"BM", 18, "<ii"),),
    "avif": ((rb"ispe", 8, ">II"), (rb"av01", 28, ">HH")),
    "heic": ((rb"ispe", 8, ">II"),),
}
"""By format: what stands before a size, how far behind its start the size lies, and how it is written."""
_SIDES = (1, 2, 100, 4000, 7000, 16_000, 16_384, 30_000, 65_535, 2**24, 2**31 - 1)
_TILE_TAGS = (322, 323)  # TIFF 6.0, section 15


def misstate_size(content: bytes, format: str, rng: Random) -> bytes | None:  # noqa: A002
    """Change one size of the file; None if it states none. An AVIF may become one whose stream lies."""
    if format == "avif" and rng.random() < 0.5:
        item, sides = coded((64, 64)), _SIDES[:9]
        stream = restate_stream(item.stream, (rng.choice(sides), rng.choice(sides)))
        items = [replace(item, stream=stream, size=rng.choice(((64, 64), (7000, 7000))))] * rng.choice((1, 2, 16))
        return avif(*items, grid=rng.choice((None, (len(items), 1, 64 * len(items), 64))))
    places = [
        (found.start() + offset, kind)
        for pattern, offset, kind in _STATED[format]
        for found in re.finditer(pattern, content)
        if found.start() + offset + struct.calcsize(kind) <= len(content)
    ]
    if not places:
        return None
    place, kind = rng.choice(places)
    values = _TILE_TAGS if kind == "<H" else _SIDES
    result = bytearray(content)
    for letter in kind[1:]:
        width = struct.calcsize(letter)
        number = rng.choice(values) % (1 << 8 * width)
        result[place : place + width] = number.to_bytes(width, "little" if kind[0] == "<" else "big")
        place += width
    return bytes(result)

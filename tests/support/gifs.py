"""GIFs built block by block, with what encoders write and what none should: GIF89a."""

from __future__ import annotations

import struct

COLOURS = "kRGBYMCW"  # the letters of PALETTE, in its order
PALETTE = bytes.fromhex("000000 ff0000 00ff00 0000ff ffff00 ff00ff 00ffff ffffff")
_INDEX_BITS = 3
Box = tuple[int, int, int, int]


def gif(*blocks: bytes, screen: tuple[int, int], palette: bytes = PALETTE, background: int = 0) -> bytes:
    """Build a GIF whose background colour is an index of its palette."""
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", *screen, _table_flags(palette), background, 0)
        + palette
        + b"".join(blocks)
        + b";"
    )


def frame(box: Box, pixels: list[int], *, palette: bytes = b"", interlaced: bool = False) -> bytes:
    """Build a frame at (left, top, width, height) with the indices of its pixels, row by row, below 8."""
    width, height = box[2:]
    rows = [pixels[width * y : width * (y + 1)] for y in range(height)]
    if interlaced:
        rows = [rows[y] for start, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for y in range(start, height, step)]
    flags = _table_flags(palette) | (0x40 if interlaced else 0)
    return b"," + struct.pack("<4HB", *box, flags) + palette + _compress([index for row in rows for index in row])


def filled(box: Box, index: int) -> bytes:
    """Build a frame of one colour."""
    return frame(box, [index] * (box[2] * box[3]))


def control(*, disposal: int = 0, transparent: int | None = None, hundredths: int = 10) -> bytes:
    """Build the graphic control extension of the next frame."""
    flags = disposal << 2 | (transparent is not None)
    return b"!\xf9\4" + struct.pack("<BHB", flags, hundredths, transparent or 0) + b"\0"


def loop(repeats: int, application: bytes = b"NETSCAPE2.0", kind: int = 1) -> bytes:
    """Build an application's block that states how often an animation repeats, if its kind is 1."""
    return b"!\xff\x0b" + application + b"\3" + struct.pack("<BH", kind, repeats) + b"\0"


def _table_flags(palette: bytes) -> int:
    return 0x80 | (len(palette) // 3).bit_length() - 2 if palette else 0


def _compress(indices: list[int]) -> bytes:
    """Write the indices as LZW, cleared so often that the codes never grow."""
    clear, codes = 1 << _INDEX_BITS, list[int]()
    for number, index in enumerate(indices):
        codes += [clear, index] if number % (clear - 2) == 0 else [index]
    packed = sum(code << (_INDEX_BITS + 1) * place for place, code in enumerate([*codes, clear + 1]))
    data = packed.to_bytes((_INDEX_BITS + 1) * (len(codes) + 1) // 8 + 1, "little")
    blocks = (data[start : start + 255] for start in range(0, len(data), 255))
    return bytes([_INDEX_BITS]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"

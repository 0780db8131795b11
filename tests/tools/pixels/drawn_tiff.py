"""TIFFs that Pillow does not write: deep, planar, with odd palettes and depths. TIFF 6.0 names the tags."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from tests.support.images import photo

_WIDTH, _HEIGHT = 32, 24
_SCENE = photo(64, 48).resize((_WIDTH, _HEIGHT))
_DEFLATE, _PLANAR = 8, 2
_SHORT, _LONG = 3, 4


def draw_tiffs() -> Iterator[tuple[str, bytes]]:
    """Yield a file's name, which says what is in it, and its bytes."""
    rgb, grey = _SCENE.tobytes(), _SCENE.convert("L").tobytes()
    cmyk, alpha = _SCENE.convert("CMYK").tobytes(), bytes(level // 2 for level in grey)
    for compression in (1, _DEFLATE):
        for name, photometric, channels, pixels in (("grey", 1, 1, grey), ("RGB", 2, 3, rgb), ("CMYK", 5, 4, cmyk)):
            for depth in (8, 16):
                for planar in (1, _PLANAR):
                    strips = _strips(pixels, channels, depth, planar)
                    tags = {262: (photometric,), 258: (depth,) * channels, 277: (channels,), 284: (planar,)}
                    title = f"tiff {name} {depth} planar {planar} compression {compression}.tif"
                    yield title, tiff(strips, tags, compression)
    for bits in (2, 4, 6, 10, 12, 14):
        yield f"tiff grey {bits} bits.tif", tiff([_pack(grey, bits)], {262: (1,), 258: (bits,), 277: (1,)})
    for name, scale in {"16-bit": 257, "8-bit": 1}.items():
        colours = [level * scale for channel in range(3) for level in (range(256) if channel else range(255, -1, -1))]
        tags = {262: (3,), 258: (8,), 277: (1,), 320: tuple(colours)}
        yield f"tiff palette of {name} values.tif", tiff([grey], tags)
    for kind, name in {1: "associated", 2: "unassociated"}.items():
        tags = {262: (1,), 258: (8, 8), 277: (2,), 284: (_PLANAR,), 338: (kind,)}
        yield f"tiff planar grey {name} alpha.tif", tiff([alpha, grey], tags)
        pairs = bytes(value for pair in zip(alpha, grey, strict=True) for value in pair)
        yield f"tiff grey {name} alpha.tif", tiff([pairs], {**tags, 284: (1,)})
    yield "tiff white is zero.tif", tiff([grey], {262: (0,), 258: (8,), 277: (1,)})
    for bits, letter in {16: "e", 32: "f", 64: "d"}.items():
        floats = struct.pack(f"<{len(grey)}{letter}", *(level / 255 for level in grey))
        yield f"tiff float {bits}.tif", tiff([floats], {262: (1,), 258: (bits,), 277: (1,), 339: (3,)})


def tiff(strips: list[bytes], tags: dict[int, tuple[int, ...]], compression: int = 1) -> bytes:
    """Lay out a little-endian TIFF of one page, its values between the directory and the strips."""
    data = [zlib.compress(strip) if compression == _DEFLATE else strip for strip in strips]
    entries = {
        256: (_WIDTH,),
        257: (_HEIGHT,),
        259: (compression,),
        278: (_HEIGHT,),
        279: tuple(map(len, data)),
        **tags,
    }
    start = 8 + 2 + 12 * (len(entries) + 1) + 4
    place = start + sum(len(_values(tag, values)) for tag, values in entries.items()) + 4 * len(data) + 64
    entries[273] = tuple(place + sum(map(len, data[:index])) for index in range(len(data)))
    directory, body = b"", b""
    for tag, values in sorted(entries.items()):
        content = _values(tag, values)
        kind = _LONG if tag in {273, 279} else _SHORT
        inline = content.ljust(4, b"\0") if len(content) <= 4 else struct.pack("<I", start + len(body))
        directory += struct.pack("<HHI", tag, kind, len(values)) + inline
        body += b"" if len(content) <= 4 else content
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + directory + bytes(4) + body
    return head.ljust(place, b"\0") + b"".join(data)


def _values(tag: int, values: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(values)}{'I' if tag in {273, 279} else 'H'}", *values)


def _strips(pixels: bytes, channels: int, depth: int, planar: int) -> list[bytes]:
    planes = [pixels[channel::channels] for channel in range(channels)] if planar == _PLANAR else [pixels]
    if depth == 8:
        return planes
    return [b"".join(bytes((level, level)) for level in plane) for plane in planes]


def _pack(levels: bytes, bits: int) -> bytes:
    """Pack samples of fewer or more than 8 bits, each row to whole bytes, the first sample in the highest bits."""
    result = b""
    for start in range(0, len(levels), _WIDTH):
        row = 0
        for level in levels[start : start + _WIDTH]:
            row = row << bits | level * ((1 << bits) - 1) // 255
        result += (row << -_WIDTH * bits % 8).to_bytes((_WIDTH * bits + 7) // 8, "big")
    return result

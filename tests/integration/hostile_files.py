"""Files made to do harm: lies in headers, what is no image whatever its name, damage, and the heaviest allowed."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

from PIL import Image

from tests.support.avif import avif, coded, restate_stream
from tests.support.images import animation, chunk, encode_image, photo, png

FORMATS = ("jpeg", "png", "gif", "webp", "tiff", "bmp", "avif", "heic")
_SIDE = 7070  # squared, just under the limit of pixels


def encode_valid(name: str) -> bytes:
    """Encode a photo in any format that may be accepted."""
    if name == "heic":
        from pillow_heif import from_pillow  # noqa: PLC0415  where it is not installed, HEIC is not accepted

        content = io.BytesIO()
        from_pillow(photo(240, 160)).save(content, quality=80)
        return content.getvalue()
    return encode_image(photo(240, 160), name, **{"tiff": {"compression": "tiff_adobe_deflate"}}.get(name, {}))


def _overwritten(content: bytes, at: int, by: bytes) -> bytes:
    return content[:at] + by + content[at + len(by) :]


def encode_damaged(name: str) -> bytes:
    """Break a photo so that no decoder can show it."""
    content = encode_valid(name)
    match name:
        case "bmp":
            return _overwritten(content, 18, bytes(4))  # its width
        case "avif" | "heic":
            return _overwritten(content, content.index(b"iloc"), b"????")  # where its pixels are
        case "jpeg":
            return _overwritten(content, content.index(b"\xff\xc4") + 5, b"\xff" * 16)  # the lengths of its codes
        case "tiff":
            return _overwritten(content, 8, b"\xff" * 200)
        case _:
            return _overwritten(content, len(content) // 2, b"\xff" * 200)


def _gif(*frames: tuple[int, int, int, int], screen: tuple[int, int] = (2, 2)) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    return head + b"".join(b"," + struct.pack("<4HB", *box, 0) + b"\x02\x02\x44\x01\0" for box in frames) + b";"


def _bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def _tiff(tags: dict[int, int]) -> bytes:
    """Build a TIFF of one directory, every tag a LONG."""
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + directory + bytes(68)


_GREY = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 277: 1}


def _jpeg(width: int, height: int) -> bytes:
    content = encode_image(photo(16, 16), "jpeg")
    return _overwritten(content, content.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def _avif(width: int, height: int) -> bytes:
    content = encode_image(photo(), "avif")
    return _overwritten(content, content.index(b"ispe") + 8, struct.pack(">II", width, height))


def _webp(width: int, height: int) -> bytes:
    return _overwritten(animation("webp"), 24, (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))


def _dot(before: bytes) -> bytes:
    return png(1, 1, depth=8, colour=0, rows=[b"\0"], before=before)


_SWELLING = zlib.compress(bytes(64 << 20), 1)
BOMBS = {
    "a PNG of 60 megapixels of one bit": png(10_000, 6_000, depth=1, colour=0, rows=[bytes(1250)] * 6_000),
    "a PNG of 4 gigapixels": png(65_535, 65_535, depth=1, colour=0, rows=[b"\0"]),
    "a BMP of 2^31 columns": _bmp(2**31 - 1, 1),
    "a BMP upside down": _bmp(20_000, -20_000),
    "a GIF with a huge screen": _gif((0, 0, 1, 1), screen=(65_535, 65_535)),
    "a GIF without end": _gif(*[(0, 0, 1, 1)] * 100_000),
    "a TIFF of 4 gigapixels": _tiff({**_GREY, 256: 65_536, 257: 65_536, 273: 8, 279: 64}),
    "a TIFF with huge tiles": _tiff({**_GREY, 322: 2**20, 323: 2**20, 324: 8, 325: 64}),
    "a WebP with a huge canvas": _webp(16_384, 16_384),
    "a JPEG of 4 gigapixels": _jpeg(65_500, 65_500),
    "an AVIF of 256 megapixels": _avif(16_000, 16_000),
    "an AVIF of 256 megapixels that states 4 kilopixels": avif(
        replace(coded((64, 64)), stream=restate_stream(coded((64, 64)).stream, (16_384, 16_384)))
    ),
    "a TIFF with a huge tile size beside its strips": _tiff({**_GREY, 273: 8, 279: 64, 322: 2**15, 323: 2**15}),
}
_JPEG = encode_image(photo(20, 20), "jpeg")
UNSUPPORTED_FILES = {
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "PDF": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n",
    "PSD": b"8BPS\0\1" + bytes(64),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    "MP4": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(64),
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "ZIP": b"PK\3\4\x14\0" + bytes(64),
    "ICO": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0" + bytes(64),
    "a script for ImageMagick": b"push graphic-context\nfill 'url(https://x/\"|id\")'\npop graphic-context",
    "a PDF around a JPEG": b"%PDF-1.4\n1 0 obj\nstream\n" + _JPEG + b"\nendstream",
    "a page around a JPEG": b"<html><!--" + _JPEG + b"--><script>alert(1)</script>",
    "a ZIP before a JPEG": b"PK\3\4\x14\0" + bytes(24) + _JPEG,
    "a line break before a PNG": b"\n" + encode_image(photo(20, 20)),
}
POLYGLOTS = {
    "a PNG whose text swells": _dot(chunk(b"zTXt", b"a\0\0" + _SWELLING)),
    "a PNG whose profile swells": _dot(chunk(b"iCCP", b"a\0\0" + _SWELLING)),
    "an APNG of two billion frames": _dot(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
    "a JPEG before a ZIP": _JPEG + b"PK\3\4\x14\0<script>alert(1)</script>",
    "a PNG before a page": encode_image(photo(20, 20)) + b"<script>alert(1)</script>",
    "a GIF around a page": encode_image(photo(20, 20), "gif", comment=b"<script>alert(1)</script>"),
    "a BMP before a script": encode_image(photo(20, 20), "bmp") + b"<script>alert(1)</script>",
}
HEAVIEST: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a floating-point TIFF": (
        "upload",
        lambda: encode_image(Image.new("F", (_SIDE, _SIDE), 0.5), "tiff", compression="zstd"),
    ),
    "a lying picture with alpha": (
        "grayscale",
        lambda: encode_image(
            Image.new("RGBA", (_SIDE, _SIDE), (1, 2, 3, 4)), "tiff", tiffinfo={274: 6}, compression="zstd"
        ),
    ),
}

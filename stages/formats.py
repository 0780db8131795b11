"""The allowed formats: recognized by content on input, encoded without metadata on output."""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from stages.errors import EmptyFile, UnsupportedFormat
from stages.limits import Limits, check_dimensions
from stages.system_errors import reveal_system_errors

if TYPE_CHECKING:
    from PIL import Image

HEAD_BYTES = 64
MEDIA_TYPES: dict[str, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
    "avif": "image/avif",
    "heic": "image/heic",
}
HAS_HEIC = find_spec("pillow_heif") is not None
ACCEPTED_FORMATS: tuple[str, ...] = tuple(name for name in MEDIA_TYPES if name != "heic" or HAS_HEIC)
OUTPUT_FORMATS: tuple[str, ...] = ("auto", "jpeg", "png", "webp", "avif")
FORMAT_SYNONYMS = {"jpg": "jpeg"}
DEFAULT_QUALITY: dict[str, int] = {"jpeg": 80, "webp": 80, "avif": 60}
OPAQUE_FORMATS = frozenset({"jpeg"})
# Besides the quality; for the other formats Pillow's own are the best cost: deploy/docs/PERFORMANCE.md, "Encoders".
ENCODER_OPTIONS: dict[str, dict[str, int | str]] = {
    "jpeg": {"subsampling": "4:2:0"},
    # One thread: workers are processes, and at some speeds the bytes depend on the threads, by default one a core.
    "avif": {"speed": 9, "max_threads": 1},
}
WEBP_SIDE = 16_383  # 14 bits: https://developers.google.com/speed/webp/faq#what_is_the_maximum_size_a_webp_image_can_be

HEAVY_FORMATS = frozenset({"avif"})
"""Formats whose renditions take the bulk lane: AVIF takes 20 times the CPU of JPEG, and seconds for its largest images.

WebP takes about 30 times, PNG 100 times as much; their renditions stay in the lane of their job, as they always did.
"""

MEMORY_INTENSIVE_FORMATS = frozenset({"webp", "avif"})
# Their encoders use up to 38 and 32 bytes of memory a pixel: an image of 50 megapixels would kill the worker.
MEMORY_INTENSIVE_MAX_PIXELS = 16_000_000

_SIGNATURES: dict[str, re.Pattern[bytes]] = {
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "gif": re.compile(rb"GIF8[79]a"),
    "webp": re.compile(rb"RIFF.{4}WEBPVP8[ LX]", re.DOTALL),
    "tiff": re.compile(rb"II[*+]\0|MM\0[*+]"),
    "bmp": re.compile(rb"BM.{12}[\x0c\x10-@l|]\0\0\0", re.DOTALL),  # the size of its second header
    "avif": re.compile(rb".{4}ftyp(.{4})*?avi[fs]", re.DOTALL),
    "heic": re.compile(rb".{4}ftyp(.{4})*?(hei[cxms]|hev[cxms])", re.DOTALL),
}
# The first chunk of a WebP: https://developers.google.com/speed/webp/docs/riff_container and RFC 6386, 9.1
_VP8, _VP8L, _VP8X = b"VP8 ", b"VP8L", b"VP8X"


@dataclass(frozen=True, slots=True)
class SniffedFormat:
    """What the first bytes state: the format, and the size in pixels if the format has it at a fixed offset."""

    format: str
    width: int | None
    height: int | None


def sniff(head: bytes) -> SniffedFormat | None:
    """Return the accepted format of a file that begins with `head` (HEAD_BYTES are enough), or None."""
    for name in ACCEPTED_FORMATS:
        if _SIGNATURES[name].match(head[:HEAD_BYTES]):
            width, height = _size(name, head)
            return SniffedFormat(name, width, height)
    return None


def recognize(head: bytes, limits: Limits) -> SniffedFormat:
    """Return the format of a file that begins with `head` (HEAD_BYTES are enough). Decodes nothing.

    Raises EmptyFile, UnsupportedFormat, or what `check_dimensions` raises for a size that `head` states.
    """
    if not head:
        raise EmptyFile
    sniffed = sniff(head)
    if sniffed is None:
        message = f"The file is not an image in one of the accepted formats: {', '.join(ACCEPTED_FORMATS)}."
        raise UnsupportedFormat(message)
    if sniffed.width is not None and sniffed.height is not None:
        check_dimensions(sniffed.width, sniffed.height, limits)
    return sniffed


def _size(name: str, head: bytes) -> tuple[int, int] | tuple[None, None]:
    try:
        if name == "png" and head[12:16] == b"IHDR":
            return _pair(">II", head, 16)
        if name == "gif":
            width, height = _pair("<HH", head, 6)
            return (width, height) if width and height else (None, None)  # the first frame enlarges it
        if name == "bmp":
            width, height = _pair("<HH" if head[14] == 12 else "<ii", head, 18)  # noqa: PLR2004  the OS/2 header
            return width, abs(height)
        if name == "webp":
            return _webp_size(head)
    except struct.error:  # the file is shorter than its header
        pass
    return None, None


def _webp_size(head: bytes) -> tuple[int, int] | tuple[None, None]:
    chunk = head[12:16]
    if chunk == _VP8X:
        width, height = _pair("<II", head[24:27] + b"\0" + head[27:30] + b"\0", 0)
        return width + 1, height + 1
    if chunk == _VP8L and head[20:21] == b"\x2f":
        bits, _ = _pair("<II", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == _VP8 and head[23:26] == b"\x9d\x01\x2a":
        width, height = _pair("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None, None


def _pair(layout: str, head: bytes, offset: int) -> tuple[int, int]:
    first, second = struct.unpack_from(layout, head, offset)
    return first, second


def parse_format(text: str) -> str:
    """Return the name that a job stores for an output format, or what is no name of one as it is.

    A request may write a name in any case, or a synonym of it.
    """
    name = FORMAT_SYNONYMS.get(text.lower(), text.lower())
    return name if name in MEDIA_TYPES or name in OUTPUT_FORMATS else text


def choose_format(format: str, *, has_alpha: bool, size: tuple[int, int]) -> str:  # noqa: A002  the API's own word
    """Resolve `auto`: jpeg for opaque pixels, webp for alpha, or png if the image is too large for WebP."""
    if format != "auto":
        return format
    if not has_alpha:
        return "jpeg"
    return "webp" if max(size) <= WEBP_SIDE and size[0] * size[1] <= MEMORY_INTENSIVE_MAX_PIXELS else "png"


def encode(image: Image.Image, format: str, quality: int | None = None) -> bytes:  # noqa: A002
    """Encode to jpeg (4:2:0), png, webp or avif with no EXIF, ICC, XMP or comment. Quality runs from 1 to 100."""
    bare = image.copy() if image.info else image
    bare.info = {}
    options = dict(ENCODER_OPTIONS.get(format, {}))
    if format in DEFAULT_QUALITY:
        options["quality"] = DEFAULT_QUALITY[format] if quality is None else quality
    content = io.BytesIO()
    with reveal_system_errors():
        bare.save(content, format=format.upper(), **options)
    return content.getvalue()

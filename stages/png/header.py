"""The chunks before the pixels of a PNG: which of them browsers heed, and which would stop or mislead the decoder.

The rules are those of Chromium 156, measured. Only a wrong checksum of tRNS is refused here and not there: it would
turn transparent pixels opaque.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterable

from stages.colour.space import MAX_PROFILE_BYTES
from stages.errors import ImageCorrupt, UnsupportedFormat
from stages.png.chunks import (
    ACTL,
    GREY,
    HEADER,
    IHDR,
    PALETTE,
    PLTE,
    RGB,
    TRNS,
    Chunk,
    build_chunk,
    check_sound,
    is_sound,
    read_header,
)

MAX_TEXT_BYTES = 1024 * 1024  # of all texts together, unpacked: they are not shown
_DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_MAX_COLOURS, _MAX_APNG_COUNT, _MAX_INTENT = 256, 2**31 - 1, 3
_DECODABLE_KIND = re.compile(rb"\w{4}")
_PROFILE = re.compile(rb"[^\0]{1,79}\0\0")  # a name, and the compression method
# Pillow stores texts under their keywords among its own facts of an image: these keywords would replace a fact.
_MISLEADING_KEYWORDS = frozenset(
    (
        b"aspect", b"bbox", b"blend", b"chromaticity", b"default_image", b"disposal", b"dpi", b"duration", b"exif",
        b"gamma", b"icc_profile", b"interlace", b"loop", b"srgb", b"transparency", b"xmp",
    )
)  # fmt: skip
_ONCE = frozenset((b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"eXIf", ACTL))  # the first counts, good or bad


def _is_profile(content: bytes) -> bool:
    """Tell whether a profile is complete and not too large: a part of one is none."""
    match, unpacking = _PROFILE.match(content), zlib.decompressobj()
    if not match:
        return False
    try:
        profile = unpacking.decompress(content[match.end() :], MAX_PROFILE_BYTES)
    except zlib.error:
        return False
    return bool(profile) and unpacking.eof


def _is_animation_control(content: bytes) -> bool:
    if len(content) != 8:  # noqa: PLR2004
        return False
    frames: int
    frames, plays = struct.unpack(">II", content)
    return 1 <= frames <= _MAX_APNG_COUNT and plays <= _MAX_APNG_COUNT


_IS_VALID: dict[bytes, Callable[[bytes], bool]] = {
    b"iCCP": _is_profile,
    b"sRGB": lambda content: len(content) == 1 and content[0] <= _MAX_INTENT,
    b"gAMA": lambda content: len(content) == 4,  # noqa: PLR2004
    b"cHRM": lambda content: len(content) == 32,  # noqa: PLR2004
    b"cICP": lambda content: len(content) == 4,  # noqa: PLR2004
    b"pHYs": lambda content: len(content) == 9,  # noqa: PLR2004
    b"eXIf": lambda content: not content.startswith(b"Exif\0\0"),
    ACTL: _is_animation_control,
}


class HeaderReader:
    """Reads the chunks before the pixels; `changes` has those that the decoder gets in another form, or not at all."""

    def __init__(self, view: memoryview, header: Chunk) -> None:
        """Raise ImageCorrupt or UnsupportedFormat unless the file begins with a sound header."""
        self.changes: dict[Chunk, bytes] = {}
        self._view, self._seen, self._colours = view, set[bytes](), 0
        self._text_left = MAX_TEXT_BYTES
        if header.kind == b"CgBI":
            raise UnsupportedFormat("The image is in Apple's variant of PNG, which browsers do not show either.")
        if header.kind != IHDR or header.end - header.start != HEADER.stop - HEADER.start:
            raise ImageCorrupt
        check_sound(view, header)
        stated = read_header(view)
        self._depth, self._colour = stated.depth, stated.colour
        if (
            stated.depth not in _DEPTHS.get(stated.colour, ())
            or stated.compression
            or stated.filters
            or stated.interlace > 1
        ):
            raise ImageCorrupt

    def read(self, chunks: Iterable[Chunk]) -> None:
        """Read the chunks between the header and the pixels. Raises ImageCorrupt or UnsupportedFormat."""
        for chunk in chunks:
            content = bytes(self._view[chunk.start : chunk.end])
            if chunk.kind == PLTE:
                self._read_palette(chunk)
            elif chunk.is_critical:
                if chunk.kind == IHDR:
                    raise ImageCorrupt
                raise UnsupportedFormat("The image has a chunk of an unknown kind that is necessary to show it.")
            elif chunk.kind == TRNS:
                self._read_transparency(chunk, content)
            elif not is_sound(self._view, chunk) or not self._is_wanted(chunk.kind, content):
                self.changes[chunk] = b""
        if self._colour == PALETTE and PLTE not in self._seen:
            raise ImageCorrupt

    def _read_palette(self, chunk: Chunk) -> None:
        check_sound(self._view, chunk)
        self._colours = (chunk.end - chunk.start) // 3
        if PLTE in self._seen or not 1 <= self._colours <= _MAX_COLOURS or chunk.end - chunk.start > 3 * _MAX_COLOURS:
            raise ImageCorrupt
        self._seen.add(PLTE)

    def _read_transparency(self, chunk: Chunk, content: bytes) -> None:
        check_sound(self._view, chunk)
        wanted = b"" if TRNS in self._seen else self._transparency(content)
        if wanted:
            self._seen.add(TRNS)
        if not wanted or wanted != content:
            self.changes[chunk] = build_chunk(TRNS, wanted) if wanted else b""

    def _transparency(self, content: bytes) -> bytes:
        """Return what counts of a tRNS chunk: PNG (Third Edition), 11.3.1.1. Nothing if it is too short or too long.

        Of a sample of up to 8 bits the low byte counts. One that no pixel of this depth can have matches none.
        """
        if self._colour == PALETTE:
            return content[: self._colours] if len(content) <= _MAX_COLOURS else b""
        channels = {GREY: 1, RGB: 3}.get(self._colour, 0)
        if len(content) < 2 * channels:
            return b""
        mask = (1 << max(8, self._depth)) - 1
        samples = [int.from_bytes(content[at : at + 2]) & mask for at in range(0, 2 * channels, 2)]
        if max(samples, default=0) >> self._depth:
            return b""
        return b"".join(sample.to_bytes(2) for sample in samples)

    def _is_wanted(self, kind: bytes, content: bytes) -> bool:
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            return self._is_harmless_text(kind, content)
        if kind in _ONCE:
            if kind in self._seen:
                return False
            self._seen.add(kind)
        return _DECODABLE_KIND.fullmatch(kind) is not None and (kind not in _IS_VALID or _IS_VALID[kind](content))

    def _is_harmless_text(self, kind: bytes, content: bytes) -> bool:
        keyword, _, value = content.partition(b"\0")
        packed = b""
        if kind == b"zTXt":
            if value[:1].strip(b"\0"):
                return False
            packed = value[1:]
        elif kind == b"iTXt" and value[:1].strip(b"\0"):
            packed = value[2:].split(b"\0", 2)[-1]
        self._text_left -= len(content)
        if self._text_left >= 0 and packed:
            self._text_left -= _unpacked_size(packed, self._text_left)
        return self._text_left >= 0 and keyword not in _MISLEADING_KEYWORDS


def _unpacked_size(packed: bytes, limit: int) -> int:
    """Return the size of what zlib has packed, `limit` + 1 if it is larger, or 0 if it is damaged."""
    try:
        return len(zlib.decompressobj().decompress(packed, limit + 1))
    except zlib.error:
        return 0

"""The chunks of a PNG: W3C PNG (Third Edition), 5."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from stages.errors import ImageCorrupt

SIGNATURE = b"\x89PNG\r\n\x1a\n"
IHDR, PLTE, TRNS, IDAT, IEND = b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"
ACTL, FCTL, FDAT = b"acTL", b"fcTL", b"fdAT"
HEADER = slice(16, 29)  # the content of IHDR, which is the first chunk
ADLER_BYTES = 4  # the checksum behind the compressed pixels: RFC 1950, 2.2
_ANCILLARY = 0x20  # of the first letter: 5.4
_HEAD, _CRC_BYTES = struct.Struct(">I4s"), 4
GREY, RGB, PALETTE = 0, 2, 3  # types of colour: 11.2.1


class Chunk(NamedTuple):
    """The kind of a chunk, and where its content lies in the file; the end may lie beyond that of the file."""

    kind: bytes
    start: int
    end: int

    @property
    def whole(self) -> slice:
        """Return where the chunk lies with its length, its kind and its checksum."""
        return slice(self.start - 8, self.end + _CRC_BYTES)

    @property
    def is_critical(self) -> bool:
        """Tell whether the image cannot be shown by a program that does not know the kind."""
        return not self.kind[0] & _ANCILLARY


class Header(NamedTuple):
    """What IHDR states: 11.2.1."""

    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filters: int
    interlace: int

    @property
    def size(self) -> tuple[int, int]:
        """Return the width and the height."""
        return self.width, self.height


def read_header(content: bytes | memoryview) -> Header:
    """Return the header of a file that begins with one. Raises struct.error if the file ends within it."""
    return Header(*struct.unpack_from(">2I5B", content, HEADER.start))


def walk_chunks(content: bytes, position: int = len(SIGNATURE)) -> Iterator[Chunk]:
    """Yield the chunks from a position on, up to IEND or the end of the file, which may be within the last of them."""
    kind, last = b"", len(content) - _HEAD.size
    while kind != IEND and position <= last:
        length, kind = _HEAD.unpack_from(content, position)
        start = position + _HEAD.size
        position = start + length + _CRC_BYTES
        yield Chunk(kind, start, start + length)


def is_sound(content: memoryview, chunk: Chunk) -> bool:
    """Tell whether the checksum of a chunk is right. One that the end of the file cuts off is not checked."""
    _, start, end = chunk
    stored = content[end : end + _CRC_BYTES]
    return zlib.crc32(content[start - 4 : end]) == int.from_bytes(stored) or len(stored) < _CRC_BYTES


def check_sound(content: memoryview, chunk: Chunk) -> None:
    """Raise ImageCorrupt if the checksum of a chunk is wrong."""
    if not is_sound(content, chunk):
        message = f"The image is damaged: the checksum of its {chunk.kind.decode('latin-1')} chunk is wrong."
        raise ImageCorrupt(message)


def build_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk with its length and its checksum."""
    return struct.pack(">I", len(content)) + kind + content + zlib.crc32(kind + content).to_bytes(_CRC_BYTES)

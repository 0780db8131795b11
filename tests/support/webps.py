"""Animated WebPs built chunk by chunk: https://developers.google.com/speed/webp/docs/riff_container."""

from __future__ import annotations

import struct

from PIL import Image

from tests.support.images import encode_image

_ANIMATION = 2


def webp(size: tuple[int, int], *frames: bytes, loop: int = 0, background: int = 0) -> bytes:
    """Build an animation whose header denies that it has alpha, with a background colour as ARGB."""
    header = struct.pack("<I", _ANIMATION) + _three_bytes(size[0] - 1, size[1] - 1)
    chunks = _chunk(b"VP8X", header) + _chunk(b"ANIM", struct.pack("<IH", background, loop)) + b"".join(frames)
    return _chunk(b"RIFF", b"WEBP" + chunks)


def webp_frame(
    place: tuple[int, int], image: Image.Image, *, milliseconds: int = 100, blends: bool = True, clears: bool = False
) -> bytes:
    """Build a frame at an even (left, top): laid over what is there or replacing it, and then cleared or left."""
    numbers = _three_bytes(place[0] // 2, place[1] // 2, image.width - 1, image.height - 1, milliseconds)
    flags = (0 if blends else 2) | (1 if clears else 0)
    return _chunk(b"ANMF", numbers + bytes([flags]) + encode_image(image, "webp", exact=True)[12:])


def _three_bytes(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(3, "little") for number in numbers)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)

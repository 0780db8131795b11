"""Animated PNGs, chunk by chunk: W3C PNG (Third Edition), 11.3.6."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.support.images import build_png, chunk, pack_rows


@dataclass(frozen=True)
class ApngFrame:
    """A frame of packed rows, 8 bits a sample and RGBA unless the file states something else."""

    rows: list[bytes]
    size: tuple[int, int] = (8, 8)
    place: tuple[int, int] = (0, 0)
    delay: tuple[int, int] = (50, 1000)
    disposal: int = 0
    blend: int = 0

    def control(self, sequence: int) -> bytes:
        """Return the fcTL chunk."""
        numbers = (sequence, *self.size, *self.place, *self.delay, self.disposal, self.blend)
        return chunk(b"fcTL", struct.pack(">5I2H2B", *numbers))

    def idat(self) -> bytes:
        """Return the pixels as those of the default image."""
        return chunk(b"IDAT", pack_rows(self.rows))

    def fdat(self, sequence: int) -> bytes:
        """Return the pixels as those of a later frame."""
        return chunk(b"fdAT", struct.pack(">I", sequence) + pack_rows(self.rows))


def plain_frame(colour: tuple[int, ...], size: tuple[int, int] = (8, 8), **options: object) -> ApngFrame:
    """Return a frame of one colour."""
    return ApngFrame([bytes(colour) * size[0]] * size[1], size, **options)  # type: ignore[arg-type]


def announce(frames: int, plays: int = 0) -> bytes:
    """Return the acTL chunk."""
    return chunk(b"acTL", struct.pack(">II", frames, plays))


def build_apng(
    frames: list[ApngFrame], *before: bytes, default: ApngFrame | None = None, plays: int = 0, **header: object
) -> bytes:
    """Return an animation; a default image is no part of it."""
    parts, sequence = [*before, announce(len(frames), plays)], 0
    if default:
        parts.append(default.idat())
    for frame in frames:
        parts.append(frame.control(sequence))
        is_default = not sequence and not default
        parts.append(frame.idat() if is_default else frame.fdat(sequence + 1))
        sequence += 1 if is_default else 2
    return build_png(*parts, **header)  # type: ignore[arg-type]

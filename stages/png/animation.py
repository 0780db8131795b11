"""The frames of an animated PNG, and where their pixels lie in the file: W3C PNG (Third Edition), 8 and 11.3.6.

Of a file that breaks the rules the frames before the fault count, as in Chromium 156. Without a good frame, it is a
still image: Chromium then shows some of these files, and nothing of others.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from stages.composition import RESTORE
from stages.png.chunks import ACTL, FCTL, FDAT, IDAT, IHDR, PLTE, Chunk, read_header

OVER = 1  # lay a frame over the canvas, instead of replacing its pixels: blend_op
SEQUENCE_BYTES = 4  # the number before the rest of fcTL and fdAT
_CONTROL = struct.Struct(">4I2H2B")


class FrameControl(NamedTuple):
    """What an fcTL chunk states: a size, a place on the canvas, a delay in units of a second, and what to do."""

    width: int
    height: int
    left: int
    top: int
    delay: int
    delay_units: int
    disposal: int
    blend: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom on the canvas."""
        return self.left, self.top, self.left + self.width, self.top + self.height

    @property
    def duration_ms(self) -> int:
        """Return the delay in whole milliseconds: it is in hundredths of a second if no unit is stated."""
        return self.delay * 1000 // (self.delay_units or 100)

    def is_valid(self, size: tuple[int, int]) -> bool:
        """Tell whether the frame has pixels, all of them on a canvas of `size`, and what to do is known."""
        has_pixels = self.width > 0 < self.height
        is_inside = self.box[2] <= size[0] and self.box[3] <= size[1]
        return has_pixels and is_inside and self.disposal <= RESTORE and self.blend <= OVER


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame and the chunks of its pixels: IDAT or fdAT."""

    control: FrameControl
    chunks: list[Chunk]


@dataclass(slots=True)
class Animation:
    """`stated` is how many frames there should be; `plays` is how often they play, 0 for endlessly."""

    stated: int
    plays: int
    frames: list[Frame] = field(default_factory=list)


def read_animation(content: bytes, chunks: Iterable[Chunk], *, most: int = sys.maxsize) -> Animation | None:
    """Return the animation with at most `most` frames, or None if the chunks before the pixels announce none.

    Reads on only as long as it must. acTL is taken to be valid, and checksums are not checked.
    """
    reader = _Reader(content, most)
    for chunk in chunks:
        if not reader.read(chunk):
            break
    return reader.animation


class _Reader:
    """Reads a PNG chunk by chunk, until one breaks the rules or nothing more is needed."""

    def __init__(self, content: bytes, most: int) -> None:
        self.animation: Animation | None = None
        self._content, self._most = content, most
        self._size = read_header(content).size
        self._control: FrameControl | None = None  # that of the frame whose pixels come next
        self._sequence, self._has_pixels, self._kind_before = 0, False, b""

    def read(self, chunk: Chunk) -> bool:
        """Read the next chunk, and tell whether to read on."""
        kind = chunk.kind
        if kind == IDAT:
            reads_on = self._read_idat(chunk)
        elif kind == FCTL:
            reads_on = self._read_control(chunk)
        elif kind == FDAT:
            reads_on = self._read_fdat(chunk)
        else:
            reads_on = not chunk.is_critical or kind in (IHDR, PLTE)
        if kind == ACTL and not self._has_pixels and not self.animation:
            self.animation = Animation(*struct.unpack_from(">II", self._content, chunk.start))
        self._kind_before = kind
        return reads_on

    def _read_control(self, chunk: Chunk) -> bool:
        if chunk.end - chunk.start != SEQUENCE_BYTES + _CONTROL.size or not self._is_next(chunk):
            return False
        control = FrameControl(*_CONTROL.unpack_from(self._content, chunk.start + SEQUENCE_BYTES))
        is_complete = self.animation and len(self.animation.frames) == min(self._most, self.animation.stated)
        if is_complete or not control.is_valid(self._size):
            return False
        if not self._has_pixels and control.box != (0, 0, *self._size):
            return False
        self._control = control
        return True

    def _read_idat(self, chunk: Chunk) -> bool:
        if not self.animation:
            return False
        if not self._has_pixels and self._control:
            self._start_frame(chunk)
        elif self._kind_before == IDAT and self.animation.frames:
            self.animation.frames[-1].chunks.append(chunk)
        self._has_pixels = True
        return True

    def _read_fdat(self, chunk: Chunk) -> bool:
        if not self.animation or not self._has_pixels or not self._is_next(chunk):
            return False
        if self._control:
            self._start_frame(chunk)
        elif self._kind_before == FDAT:
            self.animation.frames[-1].chunks.append(chunk)
        else:
            return False
        return True

    def _start_frame(self, chunk: Chunk) -> None:
        if self.animation and self._control:
            self.animation.frames.append(Frame(self._control, [chunk]))
        self._control = None

    def _is_next(self, chunk: Chunk) -> bool:
        """Tell whether the chunk is all there as far as its sequence number, which must be the next: 11.3.6.1."""
        end = chunk.start + SEQUENCE_BYTES
        number = int.from_bytes(self._content[chunk.start : end])
        self._sequence += 1
        return end <= min(chunk.end, len(self._content)) and number == self._sequence - 1

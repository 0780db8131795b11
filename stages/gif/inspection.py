"""The frames of a GIF and the limits on them, without decoding: GIF89a, 18 to 27, and what browsers make of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from stages.composition import CLEAR, RESTORE, STAY
from stages.container_info import MAX_PARTS, ContainerInfo, PartCounter, check_part_count
from stages.errors import ImageCorrupt, ImageTruncated
from stages.limits import Limits, check_dimensions, check_frames, check_pixels

MAX_BLOCKS = 8 * MAX_PARTS  # 25 MiB of full blocks, 255 bytes each, are about 100,000 blocks
_IMAGE, _EXTENSION = b",!"
_CONTROL, _APPLICATION = 0xF9, 0xFF
_DISPOSALS = {2: CLEAR, 3: RESTORE, 4: RESTORE}  # 23 c iv; 4 is what early encoders wrote for 3
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")  # the applications whose block states how often an animation repeats


class GifFrame(NamedTuple):
    """A frame as it is stored: it may lie beyond the screen, and its compressed pixels begin at `start` in the file."""

    left: int
    top: int
    width: int
    height: int
    disposal: int
    duration_ms: int
    transparent: int | None
    is_interlaced: bool
    palette: bytes
    start: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom on the screen."""
        return self.left, self.top, self.left + self.width, self.top + self.height


class GifReader:
    """Reads a GIF block by block. `loop` is how often the animation repeats, once all frames are read; 0 is for ever.

    `has_ended` tells that something came behind the last frame. Raises ImageTooLarge for too many blocks or frames, and
    IndexError or struct.error for a block that lies beyond the end of the file.
    """

    def __init__(self, content: bytes) -> None:
        self.loop: int | None = None
        self.has_ended = False
        self._content, self._blocks = content, 0
        self._width, self._height, flags = struct.unpack_from("<HHB", content, 6)
        self._palette, self._start = self._read_palette(13, flags)

    def canvas_size(self, first: GifFrame) -> tuple[int, int]:
        """Return the size that is shown: the first frame enlarges the screen, and later ones are cut."""
        return max(self._width, first.left + first.width), max(self._height, first.top + first.height)

    def frames(self) -> Iterator[GifFrame]:
        """Yield the frames up to the first byte that begins no block, where browsers stop too."""
        content, position, control, counter = self._content, self._start, b"", PartCounter("frames")
        while position < len(content):
            kind = content[position]
            if kind == _IMAGE:
                counter.add()
                frame = self._read_frame(position, control)
                yield frame
                position, control = self._skip_sub_blocks(frame.start + 1), b""
            elif kind == _EXTENSION:
                label, block = content[position + 1], content[position + 2 : position + 18]
                if label == _CONTROL:
                    control = block[1:5]
                if label == _APPLICATION and block[1:12] in _LOOPS and block[12:14] == b"\3\1":
                    (self.loop,) = struct.unpack("<H", block[14:])
                position = self._skip_sub_blocks(position + 2)
            else:
                self.has_ended = True
                return

    def _read_frame(self, position: int, control: bytes) -> GifFrame:
        left, top, width, height, flags = struct.unpack_from("<4HB", self._content, position + 1)
        palette, start = self._read_palette(position + 10, flags)
        packed, delay, transparent = struct.unpack("<BHB", control) if len(control) == 4 else (0, 0, 0)  # noqa: PLR2004
        return GifFrame(
            left, top, width, height,
            disposal=_DISPOSALS.get(packed >> 2 & 7, STAY), duration_ms=delay * 10,
            transparent=transparent if packed & 1 else None, is_interlaced=bool(flags & 0x40),
            palette=palette or self._palette, start=start,
        )  # fmt: skip

    def _read_palette(self, position: int, flags: int) -> tuple[bytes, int]:
        """Return a palette, empty if there is none, and the position behind it."""
        end = position + (6 << (flags & 7) if flags & 0x80 else 0)
        return self._content[position:end], end

    def _skip_sub_blocks(self, position: int) -> int:
        content, blocks = self._content, self._blocks + 1
        while (length := content[position]) and blocks <= MAX_BLOCKS:
            blocks += 1
            position += 1 + length
        check_part_count(blocks, "blocks", MAX_BLOCKS)
        self._blocks = blocks
        return position + 1


def inspect_gif(original: bytes, limits: Limits) -> ContainerInfo:
    """Count the frames, and check the canvas that they are composed on and the pixels of each.

    Raises as GifReader does. A missing trailer is accepted.
    """
    reader, size, frames, decoded = GifReader(original), (0, 0), 0, 0
    for frame in reader.frames():
        if not frames:
            size = reader.canvas_size(frame)
            check_dimensions(*size, limits)
        frames += 1
        decoded += frame.width * frame.height
        check_pixels(frame.width * frame.height, limits.pixels)
    if not frames:
        raise ImageCorrupt if reader.has_ended else ImageTruncated
    check_frames(frames, *size, limits)
    check_pixels(decoded, max(limits.pixels, limits.animation_pixels))
    return ContainerInfo(frames=frames)

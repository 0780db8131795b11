"""The decoder of PNGs: Pillow decodes each frame of an animation by itself, and they are composed as browsers do."""

from __future__ import annotations

import io
import struct
from itertools import takewhile
from typing import TYPE_CHECKING

from stages.composition import WITH_ALPHA, Composition
from stages.depth import to_eight_bit
from stages.png.animation import OVER, SEQUENCE_BYTES, Animation, Frame, read_animation
from stages.png.chunks import (
    ACTL,
    FCTL,
    FDAT,
    HEADER,
    IDAT,
    IHDR,
    PLTE,
    SIGNATURE,
    TRNS,
    build_chunk,
    read_header,
    walk_chunks,
)
from stages.png.still import StillPng

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

_GREY_MODES = ("1", "L", "LA", "I;16")


def open_png(file: io.BytesIO) -> ImageFile:
    """Open an inspected PNG; of an animation the first frame, whether or not that is the default image."""
    content = file.getvalue()
    animation = read_animation(content, walk_chunks(content), most=1)
    if not animation:
        return StillPng(file)
    first, size = animation.frames[0], read_header(content).size
    if first.control.box != (0, 0, *size):
        return _ComposedPng(content, Animation(1, animation.plays, [first]))
    return _open_frame(content, first, _copy_header(content))


def open_png_animation(file: io.BytesIO) -> ImageFile:
    """Open an inspected PNG with all its frames, to be decoded one after the other."""
    content = file.getvalue()
    animation = read_animation(content, walk_chunks(content))
    return _ComposedPng(content, animation) if animation and len(animation.frames) > 1 else open_png(file)


class _ComposedPng(Composition):
    format = "PNG"

    def __init__(self, content: bytes, animation: Animation) -> None:
        self._animation = animation
        super().__init__(content, [frame.control for frame in animation.frames])

    def _open(self) -> None:
        first = self._animation.frames[0]
        still = _open_frame(self._content, first, _copy_header(self._content))
        self._size = read_header(self._content).size
        has_alpha = still.has_transparency_data or first.control.box != (0, 0, *self._size)
        colours = "L" if still.mode in _GREY_MODES else "RGB"
        self._mode = WITH_ALPHA[colours] if has_alpha else colours
        self.private_chunks = still.private_chunks
        self.info = {key: value for key, value in still.info.items() if key != "transparency"}
        self.info["loop"] = self._animation.plays
        self._header = _copy_header(self._content, PLTE, TRNS)

    def _paint(self, canvas: Image.Image, number: int) -> Image.Image:
        frame = self._animation.frames[number]
        picture, control = to_eight_bit(_open_frame(self._content, frame, self._header)), frame.control
        if picture.mode in WITH_ALPHA.values():
            canvas = canvas if canvas.mode == picture.mode else canvas.convert(picture.mode)
            if control.blend == OVER:
                canvas.alpha_composite(picture, control.box[:2])
                return canvas
        canvas.paste(picture, control.box)
        return canvas


def _copy_header(content: bytes, *kinds: bytes) -> bytes:
    """Return the chunks before the pixels, all that a still image has or those of some kinds."""
    chunks = takewhile(lambda chunk: chunk.kind != IDAT, walk_chunks(content))
    return b"".join(
        content[chunk.whole]
        for chunk in chunks
        if (chunk.kind in kinds if kinds else chunk.kind not in (IHDR, ACTL, FCTL))
    )


def _open_frame(content: bytes, frame: Frame, header: bytes) -> StillPng:
    """Open a PNG of this frame alone. Its pixels keep their length where the end of the file cuts them off."""
    size = struct.pack(">II", frame.control.width, frame.control.height)
    starts = [chunk.start + (SEQUENCE_BYTES if chunk.kind == FDAT else 0) for chunk in frame.chunks]
    parts = [content[start : chunk.end] for start, chunk in zip(starts, frame.chunks, strict=True)]
    length = sum(chunk.end - start for start, chunk in zip(starts, frame.chunks, strict=True))
    first = build_chunk(IHDR, size + content[HEADER][8:])
    return StillPng(io.BytesIO(b"".join((SIGNATURE, first, header, struct.pack(">I", length), IDAT, *parts, bytes(4)))))

"""The decoder of PNGs: Pillow decodes each frame of an animation by itself, and they are composed as browsers do."""

from __future__ import annotations

import io
import struct
from itertools import takewhile
from typing import TYPE_CHECKING

from PIL import Image
from PIL.ImageFile import ImageFile

from stages.depth import to_eight_bit
from stages.png.animation import CLEAR, OVER, RESTORE, SEQUENCE_BYTES, Animation, Frame, FrameControl, read_animation
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
    walk_chunks,
)
from stages.png.still import StillPng

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
_GREY_MODES = ("1", "L", "LA", "I;16")


def open_png(file: io.BytesIO) -> ImageFile:
    """Open an inspected PNG; of an animation the first frame, whether or not that is the default image."""
    content = file.getvalue()
    animation = read_animation(content, walk_chunks(content), most=1)
    if not animation:
        return StillPng(file)
    first, size = animation.frames[0], _read_size(content)
    if first.control.box != (0, 0, *size):
        return _ComposedPng(content, Animation(1, animation.plays, [first]))
    return _open_frame(content, first, _read_header(content))


def open_png_animation(file: io.BytesIO) -> ImageFile:
    """Open an inspected PNG with all its frames, to be decoded one after the other."""
    content = file.getvalue()
    animation = read_animation(content, walk_chunks(content))
    return _ComposedPng(content, animation) if animation and len(animation.frames) > 1 else open_png(file)


class _ComposedPng(ImageFile):
    format = "PNG"

    def __init__(self, content: bytes, animation: Animation) -> None:
        self._content, self._animation = content, animation
        super().__init__(io.BytesIO())

    def _open(self) -> None:
        first = self._animation.frames[0]
        still = _open_frame(self._content, first, _read_header(self._content))
        self._size = _read_size(self._content)
        has_alpha = still.has_transparency_data or first.control.box != (0, 0, *self._size)
        colours = "L" if still.mode in _GREY_MODES else "RGB"
        self._mode = _WITH_ALPHA[colours] if has_alpha else colours
        self.private_chunks = still.private_chunks
        self.info = {key: value for key, value in still.info.items() if key != "transparency"}
        self.info["loop"] = self._animation.plays
        self._header = _read_header(self._content, PLTE, TRNS)
        self._canvas: Image.Image | None = None
        self._before: Image.Image | None = None  # what the current frame replaced
        self._wanted, self._composed = 0, -1

    def seek(self, frame: int) -> None:
        """Go to this frame or a later one."""
        self._wanted = frame

    def tell(self) -> int:
        """Return the number of the current frame."""
        return self._wanted

    def load(self) -> PixelAccess | None:
        """Compose the frames up to the current one. The canvas is released with the last."""
        while self._composed < self._wanted:
            canvas = self._dispose(self._canvas) if self._canvas else Image.new(self.mode, self.size)
            self._composed += 1
            frame = self._animation.frames[self._composed]
            restores = frame.control.disposal == RESTORE and self._composed > 0
            self._before = canvas.crop(frame.control.box) if restores else None
            canvas = _paint(canvas, to_eight_bit(_open_frame(self._content, frame, self._header)), frame.control)
            self._canvas = canvas if frame is not self._animation.frames[-1] else None
            self._im, self._mode, self.info["duration"] = canvas.im, canvas.mode, frame.control.duration_ms
        return super().load()

    def _dispose(self, canvas: Image.Image) -> Image.Image:
        """Remove the last composed frame from the canvas, as it asks for. Before the first, the canvas was clear."""
        control = self._animation.frames[self._composed].control
        if self._before:
            canvas.paste(self._before, control.box)
        elif control.disposal in (CLEAR, RESTORE):
            canvas = canvas.convert(_WITH_ALPHA[canvas.mode]) if canvas.mode in _WITH_ALPHA else canvas
            canvas.paste((0,) * len(canvas.mode), control.box)
        return canvas


def _paint(canvas: Image.Image, picture: Image.Image, control: FrameControl) -> Image.Image:
    """Lay the pixels of a frame on the canvas, or on a copy with alpha if it has none and they have."""
    if picture.mode in _WITH_ALPHA.values():
        canvas = canvas if canvas.mode == picture.mode else canvas.convert(picture.mode)
        if control.blend == OVER:
            canvas.alpha_composite(picture, control.box[:2])
            return canvas
    canvas.paste(picture, control.box)
    return canvas


def _read_size(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", content, HEADER.start)
    return width, height


def _read_header(content: bytes, *kinds: bytes) -> bytes:
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

"""The decoder of GIFs: Pillow decodes each frame by itself, and they are composed as browsers do.

What no frame covers is transparent, and so is what a cleared frame leaves: no browser paints the background colour.
The disposals are in GIF89a, 23 c iv.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile

from stages.gif.inspection import GifFrame, GifReader

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

_CLEAR, _RESTORE = 2, (3, 4)  # 4 is what early encoders wrote for 3
_PALETTE_BYTES = 768  # a colour that the palette lacks is black


def open_gif(file: io.BytesIO) -> ImageFile:
    """Open the first frame only: with its palette, at a byte a pixel, unless it leaves a part of the canvas bare."""
    content = file.getvalue()
    reader = GifReader(content)
    first = next(reader.frames())
    size = reader.canvas_size(first)
    return _open_frame(content, first) if _covers(first, size) else _ComposedGif(content, size, [first])


def open_gif_animation(file: io.BytesIO) -> ImageFile:
    """Open all frames, to be decoded one after the other."""
    content = file.getvalue()
    reader = GifReader(content)
    frames = [*reader.frames()]
    image = _ComposedGif(content, reader.canvas_size(frames[0]), frames)
    if reader.loop is not None:
        image.info["loop"] = reader.loop
    return image


class _ComposedGif(ImageFile):
    format = "GIF"

    def __init__(self, content: bytes, size: tuple[int, int], frames: list[GifFrame]) -> None:
        self._content, self._canvas_size, self._frames = content, size, frames
        super().__init__(io.BytesIO())

    def _open(self) -> None:
        first = self._frames[0]
        is_opaque = _covers(first, self._canvas_size) and first.transparent is None
        self._size, self._mode = self._canvas_size, "RGB" if is_opaque else "RGBA"
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
            frame = self._frames[self._composed]
            self._before = (
                canvas.crop(_clip(frame, self.size)) if self._composed and frame.disposal in _RESTORE else None
            )
            _paint(canvas, self._content, frame)
            self._canvas = canvas if frame is not self._frames[-1] else None
            self._im, self._mode, self.info["duration"] = canvas.im, canvas.mode, frame.duration_ms
        return super().load()

    def _dispose(self, canvas: Image.Image) -> Image.Image:
        """Remove the last composed frame from the canvas, as it asks for. Before the first, the canvas was clear."""
        frame = self._frames[self._composed]
        if self._before:
            canvas.paste(self._before, (frame.left, frame.top))
        elif frame.disposal in (_CLEAR, *_RESTORE):
            canvas = canvas if canvas.mode == "RGBA" else canvas.convert("RGBA")
            canvas.paste((0, 0, 0, 0), _clip(frame, canvas.size))
        return canvas


def _covers(frame: GifFrame, size: tuple[int, int]) -> bool:
    return (frame.left, frame.top, frame.width, frame.height) == (0, 0, *size)


def _clip(frame: GifFrame, size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top = min(frame.left, size[0]), min(frame.top, size[1])
    return left, top, min(frame.left + frame.width, size[0]), min(frame.top + frame.height, size[1])


def _paint(canvas: Image.Image, content: bytes, frame: GifFrame) -> None:
    if not frame.width or not frame.height:
        return
    picture: Image.Image = _open_frame(content, frame)
    if frame.transparent is not None:
        picture = picture.convert("RGBA")
    canvas.paste(picture, (frame.left, frame.top), None if frame.transparent is None else picture)


def _open_frame(content: bytes, frame: GifFrame) -> ImageFile:
    """Open a frame by itself: behind a header of its own size, without copying its pixels."""
    head = struct.pack("<HHBBB", frame.width, frame.height, 0xF7, 0, 0) + frame.palette.ljust(_PALETTE_BYTES, b"\0")
    if frame.transparent is not None:
        head += b"!\xf9\4" + bytes((1, 0, 0, frame.transparent, 0))
    head += b"," + struct.pack("<4HB", 0, 0, frame.width, frame.height, 0x40 if frame.is_interlaced else 0)
    image = GifImageFile(io.BytesIO(b"GIF89a" + head + content[frame.start : frame.start + 1]))
    image.fp, image.decodermaxblock = io.BytesIO(content), len(content)
    image.tile = [image.tile[0]._replace(offset=frame.start + 1)]
    return image

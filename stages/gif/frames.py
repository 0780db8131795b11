"""The decoder of GIFs: Pillow decodes each frame by itself, and they are composed as browsers do.

What no frame covers is transparent, and so is what a cleared frame leaves: no browser paints the background colour.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

from PIL.GifImagePlugin import GifImageFile

from stages.composition import Composition
from stages.gif.inspection import GifFrame, GifReader

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

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


class _ComposedGif(Composition):
    format = "GIF"

    def __init__(self, content: bytes, size: tuple[int, int], frames: list[GifFrame]) -> None:
        self._canvas_size, self._frames = size, frames
        super().__init__(content, frames)

    def _open(self) -> None:
        first = self._frames[0]
        is_opaque = _covers(first, self._canvas_size) and first.transparent is None
        self._size, self._mode = self._canvas_size, "RGB" if is_opaque else "RGBA"

    def _paint(self, canvas: Image.Image, number: int) -> Image.Image:
        frame = self._frames[number]
        if frame.width and frame.height:
            picture: Image.Image = _open_frame(self._content, frame)
            if frame.transparent is not None:
                picture = picture.convert("RGBA")
            canvas.paste(picture, (frame.left, frame.top), None if frame.transparent is None else picture)
        return canvas


def _covers(frame: GifFrame, size: tuple[int, int]) -> bool:
    return frame.box == (0, 0, *size)


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

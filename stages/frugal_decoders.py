"""The decoders of animations, by whether their first frame or all frames are wanted.

Those of WebP and AVIF are Pillow's, without the memory that they hold longer than it is needed: their codecs keep 4 to
8 bytes a pixel, and hand over each frame as bytes, which Pillow then copies.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL.AvifImagePlugin import AvifImageFile
from PIL.ImageFile import ImageFile
from PIL.WebPImagePlugin import WebPImageFile

from stages.gif.frames import open_gif, open_gif_animation
from stages.png.frames import open_png, open_png_animation

_ANIMATION = 2  # of the flags in the header: https://developers.google.com/speed/webp/docs/riff_container
Decoder = Callable[[io.BytesIO], ImageFile]


class _WebP(WebPImageFile):
    """Keeps the alpha of animations, also if the header denies it: what no frame covers is transparent."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        head = file.getvalue()[12:21]
        if head.startswith(b"VP8X") and head[8] & _ANIMATION:
            self.rawmode = self._mode = "RGBA"


class OneFrameWebP(_WebP):
    """Decodes its first frame only."""

    def load_prepare(self) -> None:
        """Make room for the decoded pixels: Pillow calls this once it has them as bytes."""
        del self._decoder
        super().load_prepare()


class OneFrameAvif(AvifImageFile):
    """Decodes its first frame only."""

    def load_prepare(self) -> None:
        """Make room for the decoded pixels: Pillow calls this once it has them as bytes."""
        del self._decoder
        super().load_prepare()


class FramewiseWebP(_WebP):
    """Decodes each frame once, in any order."""

    def seek(self, frame: int) -> None:
        """Go to a frame, and drop the pixels of the one before."""
        self._im = None
        super().seek(frame)


class FramewiseAvif(AvifImageFile):
    """Decodes each frame once, in any order."""

    def seek(self, frame: int) -> None:
        """Go to a frame, and drop the pixels of the one before."""
        self._im = None
        super().seek(frame)


ONE_FRAME: dict[str, Decoder] = {"gif": open_gif, "png": open_png, "webp": OneFrameWebP, "avif": OneFrameAvif}
FRAMEWISE: dict[str, Decoder] = {
    "gif": open_gif_animation,
    "png": open_png_animation,
    "webp": FramewiseWebP,
    "avif": FramewiseAvif,
}

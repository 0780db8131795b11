"""Pillow's decoder of WebP, without the memory that it holds longer than it is needed, and with all of the alpha.

The codec keeps 4 to 8 bytes a pixel, and hands over each frame as bytes, which Pillow then copies.
"""

from __future__ import annotations

import io

from PIL.WebPImagePlugin import WebPImageFile

_ANIMATION = 2  # of the flags in the header: https://developers.google.com/speed/webp/docs/riff_container


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


class FramewiseWebP(_WebP):
    """Decodes each frame once, in any order."""

    def seek(self, frame: int) -> None:
        """Go to a frame, and drop the pixels of the one before."""
        self._im = None
        super().seek(frame)

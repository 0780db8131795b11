"""Pillow's decoders of WebP and AVIF, without the memory that they hold longer than it is needed.

Their own decoders keep 4 to 8 bytes a pixel, and hand over each frame as bytes, which Pillow then copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL.AvifImagePlugin import AvifImageFile
from PIL.WebPImagePlugin import WebPImageFile

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile


class OneFrameWebP(WebPImageFile):
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


class FramewiseWebP(WebPImageFile):
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


ONE_FRAME: dict[str, type[ImageFile]] = {"webp": OneFrameWebP, "avif": OneFrameAvif}
FRAMEWISE: dict[str, type[ImageFile]] = {"webp": FramewiseWebP, "avif": FramewiseAvif}

"""Pillow's decoder of AVIF, without the memory that it holds longer than it is needed, as `stages.webp.decoder`.

That of HEIC is pillow-heif's, if it is installed.
"""

from __future__ import annotations

from PIL import AvifImagePlugin
from PIL.AvifImagePlugin import AvifImageFile

# One thread a codec: by default it starts one for each core of the machine, however few its container may have.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


class OneFrameAvif(AvifImageFile):
    """Decodes its first frame only."""

    def load_prepare(self) -> None:
        """Make room for the decoded pixels: Pillow calls this once it has them as bytes."""
        del self._decoder
        super().load_prepare()


class FramewiseAvif(AvifImageFile):
    """Decodes each frame once, in any order."""

    def seek(self, frame: int) -> None:
        """Go to a frame, and drop the pixels of the one before."""
        self._im = None
        super().seek(frame)

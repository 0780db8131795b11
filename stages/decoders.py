"""The decoder of each format, by whether the first frame or all frames are wanted.

They are called by name: Image.open() would open a phone's JPEG as an MPO, and parse the index of the other pictures in
it.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL.ImageFile import ImageFile

from stages.bmp.decoder import Bmp
from stages.formats import HAS_HEIC
from stages.gif.frames import open_gif, open_gif_animation
from stages.heif.decoder import FramewiseAvif, OneFrameAvif
from stages.jpeg.decoder import CompleteJpeg
from stages.png.frames import open_png, open_png_animation
from stages.tiff.decoder import TiffFile
from stages.webp.decoder import FramewiseWebP, OneFrameWebP

Decoder = Callable[[io.BytesIO], ImageFile]

# A TIFF's pages and a HEIC's other pictures are not frames.
_STILLS: dict[str, Decoder] = {"jpeg": CompleteJpeg, "tiff": TiffFile, "bmp": Bmp}
if HAS_HEIC:
    import pillow_heif
    from pillow_heif import HeifImageFile

    pillow_heif.options.DECODE_THREADS = 1  # as AVIF's
    _STILLS["heic"] = HeifImageFile

FIRST_FRAME: dict[str, Decoder] = {
    **_STILLS,
    "gif": open_gif,
    "png": open_png,
    "webp": OneFrameWebP,
    "avif": OneFrameAvif,
}
ALL_FRAMES: dict[str, Decoder] = {
    **_STILLS,
    "gif": open_gif_animation,
    "png": open_png_animation,
    "webp": FramewiseWebP,
    "avif": FramewiseAvif,
}

"""The decoder of a PNG with one picture: Pillow's, with what browsers do where it does something else."""

from __future__ import annotations

import io
from functools import reduce
from typing import TYPE_CHECKING, cast

from PIL import Image, ImageChops, ImagePalette, PngImagePlugin
from PIL.PngImagePlugin import PngImageFile

from stages.colour.space import MAX_PROFILE_BYTES
from stages.png.pixels import find_last, has_all, read_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL._imaging import PixelAccess

PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES  # of profiles too: the inspection leaves out the larger ones
_MAX_COLOURS = 256
_GREY_SCALES = {"L;2": 85, "L;4": 17}  # from the levels in the file to those of Pillow
_UNLIKELY = (145, 62, 201, 118)  # the levels of a pixel
_HIGH_BYTES, _LOW_BYTES = "RGB;16B", "RGB;16L"  # which byte of each 16-bit sample Pillow keeps


class StillPng(PngImageFile):
    """A PNG without frames, which has been inspected.

    Nothing behind its pixels is read, and zlib's checksum is not checked, as in Chromium. Pillow takes pixels to
    be black that are missing before the end of a stream: here they are missed.
    """

    def _open(self) -> None:
        super()._open()
        self._content = cast("io.BytesIO", self.fp).getvalue()
        if self.png and self.png.im_palette:
            self._extend_palette(self.png.im_palette[1])

    def _extend_palette(self, colours: bytes) -> None:
        """Give numbers of colours that the palette lacks its last colour, as Chromium does."""
        count = len(colours) // 3
        lacking = _MAX_COLOURS - count
        self.palette = ImagePalette.raw("RGB", colours[: 3 * count] + colours[3 * count - 3 : 3 * count] * lacking)
        alpha = self.info.get("transparency")
        if isinstance(alpha, int):  # the only colour that is transparent
            alpha = b"\xff" * alpha + b"\0"
        if alpha is not None:
            alpha = alpha.ljust(count, b"\xff")
            self.info["transparency"] = alpha + alpha[-1:] * lacking

    def load(self) -> PixelAccess | None:
        """Decode the pixels, and make those of the transparent colour transparent where Pillow could not tell them."""
        layout, key = self.tile[0].args if self.tile else None, self.info.get("transparency")
        if isinstance(layout, str) and isinstance(key, int):
            self.info["transparency"] = key * _GREY_SCALES.get(layout, 1)
        if layout != _HIGH_BYTES or not key:
            return super().load()
        found = self._find_low_bytes(key)
        access = super().load()
        found = ImageChops.darker(found, _find_levels(self, [sample >> 8 for sample in key]))
        del self.info["transparency"]
        self.putalpha(ImageChops.invert(found))
        return access

    def _find_low_bytes(self, colour: Sequence[int]) -> Image.Image:
        """Return where the low bytes of the 16-bit samples are those of a colour, as 255 in a grey image."""
        low = StillPng(io.BytesIO(self._content))
        low.tile = [low.tile[0]._replace(args=_LOW_BYTES)]
        return _find_levels(low, [sample & 255 for sample in colour])

    def load_prepare(self) -> None:
        """Prepare the pixels, and mark the last of them: Pillow calls this before `load_read`."""
        super().load_prepare()
        self._start, self._last = self.tile[0].offset - 8, find_last(self._content)
        self._parts = read_parts(self._content, self._start)
        mark = _UNLIKELY[: len(self.getbands())]
        self.im.putpixel(self._last, mark if len(mark) > 1 else mark[0])
        self._mark = self.im.getpixel(self._last)

    def load_read(self, read_bytes: int) -> bytes:  # noqa: ARG002  all is in memory
        """Return the next part of the compressed pixels, empty at their end."""
        return next(self._parts, b"")

    def load_end(self) -> None:
        """Check that the last pixel was decoded. Pillow reads the chunks behind them here, which are left alone."""
        if self.png:
            self.png.close()
            self.png = None
        if self.im.getpixel(self._last) == self._mark and not has_all(self._content, self._start):
            message = "the pixels are truncated"
            raise OSError(message)


def _find_levels(image: Image.Image, levels: Sequence[int]) -> Image.Image:
    """Return where the bands of an image have these levels, as 255 in a grey image."""
    image.load()
    bands = (image.getchannel(band) for band in range(len(levels)))
    found = (band.point([255 * (at == level) for at in range(256)]) for band, level in zip(bands, levels, strict=True))
    return reduce(ImageChops.darker, found)

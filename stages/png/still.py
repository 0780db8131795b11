"""The decoder of a PNG with one picture: Pillow's, with what browsers do where it does something else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import reduce
from itertools import takewhile
from typing import TYPE_CHECKING, cast

from PIL import Image, ImageChops, ImagePalette, PngImagePlugin
from PIL.PngImagePlugin import PngImageFile

from stages.png.chunks import ADLER_BYTES, IDAT, walk_chunks
from stages.png.header import MAX_PROFILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL._imaging import PixelAccess

PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES  # of profiles too: the inspection leaves out the larger ones
_MAX_COLOURS = 256
_GREY_SCALES = {"L;2": 85, "L;4": 17}  # from the levels in the file to those of Pillow
_HIGH_BYTES, _LOW_BYTES = "RGB;16B", "RGB;16L"  # which byte of each 16-bit sample Pillow keeps


class StillPng(PngImageFile):
    """A PNG without frames, which has been inspected.

    Nothing behind its pixels is read, nor the last byte of zlib's checksum of them: Chromium ignores it. It would also
    end a stream of too few pixels, and Pillow would take the others to be black. Without it, they are missing.
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
        """Prepare the pixels: Pillow calls this before `load_read`."""
        super().load_prepare()
        self._parts = _read_parts(self._content, self.tile[0].offset - 8)

    def load_read(self, read_bytes: int) -> bytes:  # noqa: ARG002  all is in memory
        """Return the next part of the compressed pixels, empty at their end."""
        return next(self._parts, b"")

    def load_end(self) -> None:
        """Leave the chunks behind the pixels alone: Pillow reads them here."""
        if self.png:
            self.png.close()
            self.png = None


def _read_parts(content: bytes, position: int) -> Iterator[bytes]:
    """Yield the pixels but for the last byte. What the end of the file cuts off of their checksum is made up."""
    chunks = [*takewhile(lambda chunk: chunk.kind == IDAT, walk_chunks(content, position))]
    left = sum(chunk.end - chunk.start for chunk in chunks) - 1
    for chunk in chunks:
        if part := content[chunk.start : min(chunk.end, chunk.start + left)]:
            yield part
        left -= chunk.end - chunk.start
    yield bytes(max(0, min(chunks[-1].end - len(content), ADLER_BYTES) - 1))


def _find_levels(image: Image.Image, levels: Sequence[int]) -> Image.Image:
    """Return where the bands of an image have these levels, as 255 in a grey image."""
    image.load()
    bands = (image.getchannel(band) for band in range(len(levels)))
    found = (band.point([255 * (at == level) for at in range(256)]) for band, level in zip(bands, levels, strict=True))
    return reduce(ImageChops.darker, found)

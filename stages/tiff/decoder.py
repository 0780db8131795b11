"""Pillow's decoder of TIFF, made to decode right every layout that `support` lets pass."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from PIL import Image, ImageOps, ImagePalette, TiffImagePlugin
from PIL.TiffImagePlugin import II, MM, OPEN_INFO, TiffImageFile

from stages.tiff import directory as tag
from stages.tiff.layout import BLACK_IS_ZERO, FLOAT, RAW, SEPARATE_PLANES, SIGNED, UNSIGNED, WHITE_IS_ZERO, YCBCR

if TYPE_CHECKING:
    from collections.abc import Iterator

# Byte order, PhotometricInterpretation, SampleFormat, FillOrder, BitsPerSample, ExtraSamples
_Key = tuple[bytes, int, tuple[int], int, tuple[int, ...], tuple[int, ...]]

_FILL_ORDER, _COLOR_MAP = 266, 320
_GREY_AND_MORE = (16, 16)
_TWELVE_TO_SIXTEEN = 65_535 / 4_095


def _more_layouts() -> Iterator[tuple[_Key, tuple[str, str]]]:
    """Yield layouts that Pillow's table lacks, or has wrong, though its decoders take them: their modes and raw modes.

    Two samples of 16 bits are decoded as the four bytes of a pixel; `load_end` makes grey of them.
    """
    for order, mark in ((II, ""), (MM, "B")):
        for photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO):
            grey = (order, photometric, (UNSIGNED,), 1)
            yield (*grey, (12,), ()), ("I;16", "I;12")
            yield (*grey, (16,), ()), (f"I;16{mark}", f"I;16{mark}")
            yield (*grey, _GREY_AND_MORE, (0,)), ("RGBX", "RGBX")
            yield (*grey, _GREY_AND_MORE, (2,)), ("RGBA", "RGBA")
        yield (order, BLACK_IS_ZERO, (UNSIGNED,), 1, _GREY_AND_MORE, (1,)), ("RGBa", "RGBa")
        yield (order, BLACK_IS_ZERO, (UNSIGNED,), 1, (32,), ()), ("F", f"F;32{mark}")
        yield (order, BLACK_IS_ZERO, (SIGNED,), 1, (8,), ()), ("I", "I;8S")
        yield (order, BLACK_IS_ZERO, (FLOAT,), 1, (64,), ()), ("F", f"F;64{mark}F")


OPEN_INFO.update(_more_layouts())
# libtiff returns numbers in the machine's order, whatever the file's: Pillow knows this of unsigned words only.
_NATIVE = {
    **dict.fromkeys(("I;16S", "I;16BS"), "I;16NS"),
    **dict.fromkeys(("I;32S", "I;32BS"), "I;32NS"),
    **dict.fromkeys(("F;32", "F;32B"), "F;32N"),
    **dict.fromkeys(("F;32F", "F;32BF"), "F;32NF"),
    **dict.fromkeys(("F;64F", "F;64BF"), "F;64NF"),
}
_HIGH_BYTE = 1 if sys.byteorder == "little" else 0
_GREY_MODES = {"RGBX": "L", "RGBa": "La", "RGBA": "LA"}


class TiffFile(TiffImageFile):
    """A TIFF whose size and pixels are as they are stored: its orientation is applied by the steps after decoding."""

    def _setup(self) -> None:
        before, TiffImagePlugin.READ_LIBTIFF = TiffImagePlugin.READ_LIBTIFF, self._needs_libtiff()
        try:
            super()._setup()
        finally:
            TiffImagePlugin.READ_LIBTIFF = before
        self._size = self._tile_size
        raw_mode, *arguments = self.tile[0].args if isinstance(self.tile[0].args, tuple) else ("",)
        if self.use_load_libtiff and raw_mode in _NATIVE:
            self.tile = [self.tile[0]._replace(args=(_NATIVE[raw_mode], *arguments))]
        if self.palette and max(self.tag_v2[_COLOR_MAP]) < 256:  # noqa: PLR2004  8-bit values, as many programs write
            self.palette = ImagePalette.raw("RGB;L", self.tag_v2[_COLOR_MAP])

    def _needs_libtiff(self) -> bool:
        """Tell whether Pillow's own decoder of uncompressed pixels, which is the faster one, would get them wrong."""
        tags = self.tag_v2
        return tags.get(tag.COMPRESSION, RAW) == RAW and (
            tags.get(tag.PLANAR) == SEPARATE_PLANES  # also one plane: Pillow takes the wrong raw mode
            or (tags.get(tag.PHOTOMETRIC) == YCBCR and tags.get(tag.SAMPLES) != 1)
            or tags.get(_FILL_ORDER, 1) != 1
            or (tags.get(tag.SAMPLES) == len(_GREY_AND_MORE) and tags.get(tag.BITS, (1,))[0] == _GREY_AND_MORE[0])
            or (tag.STRIP_OFFSETS in tags) == (tag.TILE_WIDTH in tags)  # tiles whose offsets are in the strips' tag
        )

    def load_end(self) -> None:
        """Convert what Pillow has no mode for, once it is decoded."""
        if self.mode == "I;16" and self.tag_v2[tag.BITS][0] == 12:  # noqa: PLR2004  which Pillow keeps as they are
            self.im = self.point(lambda value: value * _TWELVE_TO_SIXTEEN).im
        if self.mode in _GREY_MODES and self.tag_v2.get(tag.SAMPLES) == len(_GREY_AND_MORE):
            grey, extra = (self.getchannel(_HIGH_BYTE + 2 * sample) for sample in range(2))
            if self.tag_v2.get(tag.PHOTOMETRIC, WHITE_IS_ZERO) == WHITE_IS_ZERO:
                grey = ImageOps.invert(grey)
            self._mode, self._im = _GREY_MODES[self.mode], None  # frees the pixels that are taken
            self.im = (grey if self.mode == "L" else Image.merge(self.mode, (grey, extra))).im

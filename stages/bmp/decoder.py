"""The decoder of BMPs: Pillow unpacks the rows, and what it does not know is taken apart here.

Pillow's own decoder knows few masks, ignores alpha of 16 bits, and misreads compressed rows that are not full.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image, ImageMath
from PIL.ImageFile import ImageFile

from stages.bmp.header import DEFAULT_MASKS, RAW, RLE24, BmpHeader, Masks, read_bmp_header
from stages.bmp.runs import draw_runs

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

_ROWS_PIXELS = 1 << 18  # are taken apart at once, at up to 20 bytes each
_BITS_15, _BITS_16 = (*DEFAULT_MASKS[16], 0), (0xF800, 0x7E0, 0x1F, 0)
_RAW_MODES = {(16, _BITS_15): "BGR;15", (16, _BITS_16): "BGR;16", (24, (*DEFAULT_MASKS[24], 0)): "BGR"}
_RAW_MODES_32 = frozenset(("BGRX", "RGBX", "XBGR", "XRGB", "BGXR", "BGRA", "RGBA", "ABGR", "ARGB", "BGAR"))
_GREY = b"".join(bytes((level, level, level, 0)) for level in range(256))
_BLACK_AND_WHITE = bytes(4) + b"\xff\xff\xff\0"
_PALETTE_BYTES = 4 * 256


class Bmp(ImageFile):
    """A BMP of any kind that `read_bmp_header` accepts."""

    format = "BMP"

    def __init__(self, file: io.BytesIO) -> None:
        self._content = file.getvalue()
        super().__init__(file)

    def _open(self) -> None:
        self._header = read_bmp_header(self._content)
        self._size = self._header.width, self._header.height
        self._mode = _mode(self._header)

    def load(self) -> PixelAccess | None:
        """Decode the pixels. An alpha channel that is zero everywhere is none."""
        if self._im is None:
            image = _decode(self._content, self._header)
            if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
                image = image.convert("RGB")
            image.load()  # hands the palette over
            self._im, self._mode, self.palette = image.im, image.mode, image.palette
        return super().load()


def _mode(header: BmpHeader) -> str:
    if header.masks:
        return "RGBA" if header.masks[3] else "RGB"
    if header.coding != RAW:
        return "RGB" if header.coding == RLE24 else "P"
    return {_GREY: "L", _BLACK_AND_WHITE: "1"}.get(header.palette, "P")


def _decode(content: bytes, header: BmpHeader) -> Image.Image:
    if header.coding != RAW:
        return _decode_runs(content, header)
    mode = _mode(header)
    raw_mode = _raw_mode(header.bits, header.masks) if header.masks else _palette_raw_mode(mode, header.bits)
    if raw_mode is None:
        return _decode_masked(content, header)
    image = _unpack_rows(content, header, mode, raw_mode, 0, header.height)
    if mode == "P":
        image.putpalette(header.palette, "BGRX")
    return image


def _palette_raw_mode(mode: str, bits: int) -> str:
    return mode if mode != "P" or bits == 8 else f"P;{bits}"  # noqa: PLR2004


def _raw_mode(bits: int, masks: Masks) -> str | None:
    """Return Pillow's name for this order of channels, or None if it has none."""
    if bits != 32:  # noqa: PLR2004
        return _RAW_MODES.get((bits, masks))
    names = {mask: name for name, mask in zip("RGBA", masks, strict=True) if mask}
    raw_mode = "".join(names.get(0xFF << shift, "X") for shift in range(0, 32, 8))
    return raw_mode if raw_mode in _RAW_MODES_32 and len(names) == 4 - raw_mode.count("X") else None


def _unpack_rows(content: bytes, header: BmpHeader, mode: str, raw_mode: str, first: int, count: int) -> Image.Image:
    """Return rows as they lie in the file, the right way up."""
    rows = memoryview(content)[header.start + header.stride * first :][: header.stride * count]
    direction = 1 if header.is_top_down else -1
    return Image.frombytes(mode, (header.width, count), rows, "raw", raw_mode, header.stride, direction)


def _decode_masked(content: bytes, header: BmpHeader) -> Image.Image:
    """Take each channel out of its bits, some rows at a time."""
    image = Image.new(_mode(header), (header.width, header.height))
    masks = [*(header.masks or ())][: len(image.getbands())]
    step = max(1, _ROWS_PIXELS // header.width)
    for first in range(0, header.height, step):
        count = min(step, header.height - first)
        numbers = _unpack_rows(content, header, "I", f"I;{header.bits}", first, count)
        bands = [_extract(numbers, mask) for mask in masks]
        image.paste(Image.merge(image.mode, bands), (0, first if header.is_top_down else header.height - first - count))
    return image


def _extract(numbers: Image.Image, mask: int) -> Image.Image:
    """Return a channel at 8 bits: fewer are scaled, of more the upper ones are taken."""
    if not mask:
        return Image.new("L", numbers.size)
    width, shift = mask.bit_count(), (mask & -mask).bit_length() - 1
    shift, highest = shift + max(0, width - 8), (1 << min(width, 8)) - 1
    levels: Image.Image = ImageMath.lambda_eval(lambda found: found["numbers"] >> shift & highest, numbers=numbers)
    return levels.convert("L").point([min(255, (510 * level + highest) // (2 * highest)) for level in range(256)])


def _decode_runs(content: bytes, header: BmpHeader) -> Image.Image:
    """Draw the runs. What they leave out is black, as in Chromium, or the darkest colour of the palette."""
    palette = header.palette.ljust(_PALETTE_BYTES, b"\0")
    darkest = min(range(256), key=lambda index: sum(palette[4 * index : 4 * index + 3]))
    is_direct, direction = header.coding == RLE24, 1 if header.is_top_down else -1
    canvas = draw_runs(content, header, 0 if is_direct else darkest)
    layout = ("RGB", "BGR") if is_direct else ("P", "P")
    image = Image.frombytes(layout[0], (header.width, header.height), canvas, "raw", layout[1], 0, direction)
    if not is_direct:
        image.putpalette(palette, "BGRX")
    return image

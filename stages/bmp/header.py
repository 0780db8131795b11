"""The header of a BMP, its masks and its palette: Microsoft's BITMAPINFOHEADER and its later versions, and OS/2's."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from stages.errors import UnsupportedFormat

RAW, RLE8, RLE4, RLE24 = 0, 1, 2, 4  # as the header has them; 4 is RLE24 in OS/2 only, else a JPEG
_MASKED, _MASKED_WITH_ALPHA = 3, 6
_BITS_BY_CODING = {RAW: (1, 2, 4, 8, 16, 24, 32), RLE8: (8,), RLE4: (4,), RLE24: (24,)}
_MASKED_BITS = (16, 24, 32)
_OLDEST, _FIRST_MASKS, _FIRST_ALPHA, _FIRST_COLOUR_SPACE = 12, 52, 56, 108  # bytes of a header
_WINDOWS_HEADERS = (40, _FIRST_MASKS, _FIRST_ALPHA, _FIRST_COLOUR_SPACE, 124)
_OS2_HEADERS = range(16, 66, 2)
_PALETTE_BITS = 8
NO_ALPHA = 0
ALPHA_32 = 0xFF000000
DEFAULT_MASKS = {16: (0x7C00, 0x3E0, 0x1F), 24: (0xFF0000, 0xFF00, 0xFF), 32: (0xFF0000, 0xFF00, 0xFF)}

Masks = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class BmpHeader:
    """What a BMP states: `masks` of red, green, blue and alpha, or a `palette` of blue, green, red and a byte."""

    width: int
    height: int
    is_top_down: bool
    bits: int
    coding: int
    masks: Masks | None
    palette: bytes
    start: int

    @property
    def stride(self) -> int:
        """The bytes of a row, padded to four."""
        return (self.width * self.bits + 31) // 32 * 4


def read_bmp_header(content: bytes) -> BmpHeader:
    """Read the header with its masks and its palette. Raises UnsupportedFormat or struct.error."""
    start, size = struct.unpack_from("<II", content, 10)
    if size == _OLDEST:
        width, height, _, bits = struct.unpack_from("<4H", content, 18)
        coding = colours = 0
    elif size in _WINDOWS_HEADERS or size in _OS2_HEADERS:
        stated = content[18 : 14 + size].ljust(36, b"\0")
        width, height, _, bits, coding, colours = struct.unpack_from("<iiHHI12xI", stated)
    else:
        raise _unsupported()
    is_masked = size in _WINDOWS_HEADERS and coding in (_MASKED, _MASKED_WITH_ALPHA)
    if bits not in (_MASKED_BITS if is_masked else _allowed_bits(coding, size)):
        raise _unsupported()
    tables, masks = 14 + size, None
    if is_masked:
        masks, tables = _read_masks(content, size, bits, with_alpha=coding == _MASKED_WITH_ALPHA)
    elif bits > _PALETTE_BITS:
        masks = (*DEFAULT_MASKS[bits], _raw_alpha(content, size, bits))
    palette, end = _read_palette(content, tables, bits, colours, entry=3 if size == _OLDEST else 4)
    if start == 0 or (start == 14 + size and bits <= _PALETTE_BITS):  # Pillow's rule for headers without it
        start = end
    return BmpHeader(width, abs(height), height < 0, bits, RAW if is_masked else coding, masks, palette, start)


def _allowed_bits(coding: int, size: int) -> tuple[int, ...]:
    if coding == RLE24 and size in _WINDOWS_HEADERS:
        return ()
    return _BITS_BY_CODING.get(coding, ())


def _raw_alpha(content: bytes, size: int, bits: int) -> int:
    """Return the alpha mask of pixels without masks: Chromium heeds it in headers that have a colour space."""
    has_mask = bits == 32 and size >= _FIRST_COLOUR_SPACE and struct.unpack_from("<I", content, 66)[0]  # noqa: PLR2004
    return ALPHA_32 if has_mask else NO_ALPHA


def _read_masks(content: bytes, size: int, bits: int, *, with_alpha: bool) -> tuple[Masks, int]:
    """Return the masks, and the position behind them: they are in the header, or follow the oldest that has them."""
    in_header = size >= _FIRST_MASKS
    count = 4 if with_alpha or size >= _FIRST_ALPHA else 3
    stated = struct.unpack_from(f"<{count}I", content, 54)
    masks = (*stated, NO_ALPHA)[:4]
    if not any(masks):
        masks = (*DEFAULT_MASKS[bits], ALPHA_32 if bits == 32 else NO_ALPHA)  # noqa: PLR2004
    if any(mask >> bits or not _is_contiguous(mask) for mask in masks):
        raise _unsupported()
    if bits == 24 and masks != (*DEFAULT_MASKS[bits], NO_ALPHA):  # noqa: PLR2004
        raise _unsupported()
    return masks, 14 + size if in_header else 54 + 4 * count


def _is_contiguous(mask: int) -> bool:
    lowest = mask & -mask
    return (mask + lowest) & mask == 0


def _read_palette(content: bytes, tables: int, bits: int, colours: int, *, entry: int) -> tuple[bytes, int]:
    """Return the palette, at four bytes a colour, and where it ends by its own account. What it lacks is black."""
    if bits > _PALETTE_BITS:
        return b"", tables
    colours = colours or 1 << bits
    palette = content[tables : tables + entry * min(colours, 1 << bits)]
    if entry == 3:  # noqa: PLR2004
        palette = b"".join(palette[at : at + 3] + b"\0" for at in range(0, len(palette) - 2, 3))
    return palette.ljust(4 << bits, b"\0"), tables + entry * colours


def _unsupported() -> UnsupportedFormat:
    return UnsupportedFormat("This kind of BMP is not supported.")

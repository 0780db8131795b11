"""How the samples of a TIFF's page are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.tiff import directory as tag

if TYPE_CHECKING:
    from stages.tiff.directory import Tags

# PhotometricInterpretation: TIFF 6.0, sections 3 to 6, 16, 20 and 23
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # SampleFormat: TIFF 6.0, section 19
UNSPECIFIED, ASSOCIATED_ALPHA, ALPHA, COREL_ALPHA = 0, 1, 2, 999  # ExtraSamples: section 18; Corel Draw writes 999
SEPARATE_PLANES = 2  # PlanarConfiguration: section 8
RAW, OLD_JPEG, JPEG, PACKBITS = 1, 6, 7, 32_773  # Compression: sections 3, 9 and 22
FAX = frozenset({2, 3, 4, 32_771})  # sections 10 and 11
PREDICTED = frozenset({5, 8, 32_946, 34_925, 50_000})  # LZW, Deflate twice, LZMA, Zstandard; section 14
_MAX_SAMPLES = 8  # more are not decoded, so they need not be listed


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """The samples of a pixel: `bits` has one value for each, `extra` says what those behind the colours are.

    `number` is their SampleFormat, 0 if they differ in it.
    """

    compression: int
    photometric: int
    number: int
    bits: tuple[int, ...]
    extra: tuple[int, ...]
    has_planes: bool


def read_layout(tags: Tags) -> TiffLayout:
    """Return the layout with the defaults of TIFF 6.0, and with those of Pillow where that has none.

    Planes behind the colours that mean nothing are left out, as Pillow does not decode them.
    """
    compression, count = tags.get(tag.COMPRESSION, (RAW,))[0], tags.get(tag.SAMPLES, (0,))[0]
    photometric = YCBCR if compression == OLD_JPEG else tags.get(tag.PHOTOMETRIC, (WHITE_IS_ZERO,))[0]
    count = count or (3 if compression == OLD_JPEG else 1)
    if photometric == YCBCR and count == 1 and compression == RAW:  # brightness alone
        photometric = BLACK_IS_ZERO
    bits, extra = tags.get(tag.BITS, (1,)), tags.get(tag.EXTRA_SAMPLES, ())
    bits = bits * min(count, _MAX_SAMPLES) if len(bits) == 1 else bits[:count]
    has_planes = tags.get(tag.PLANAR, (1,))[0] == SEPARATE_PLANES and count > 1
    if has_planes and not any(extra):
        bits, extra = bits[: len(bits) - len(extra)], ()
    if photometric == RGB and len(bits) == 4 and not extra and not has_planes:  # noqa: PLR2004  RGB and one more
        extra = (ALPHA,)
    numbers = set(tags.get(tag.SAMPLE_FORMAT, (UNSIGNED,)))
    number = numbers.pop() if len(numbers) == 1 else 0
    return TiffLayout(compression, photometric, number, bits, extra, has_planes and len(bits) > 1)

"""The layouts of a TIFF that are decoded right, as the tests measure; every other is refused by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.errors import UnsupportedFormat
from stages.tiff import directory as tag
from stages.tiff.layout import (
    ALPHA,
    ASSOCIATED_ALPHA,
    BLACK_IS_ZERO,
    CMYK,
    COREL_ALPHA,
    FAX,
    FLOAT,
    JPEG,
    LAB,
    OLD_JPEG,
    PACKBITS,
    PALETTE,
    PREDICTED,
    RAW,
    RGB,
    SIGNED,
    UNSIGNED,
    UNSPECIFIED,
    WHITE_IS_ZERO,
    YCBCR,
    read_layout,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.tiff.directory import Tags
    from stages.tiff.layout import TiffLayout

_Extra = frozenset[tuple[int, ...]]  # what samples may lie behind those of the colours

_NONE: _Extra = frozenset({()})
_ONE: _Extra = frozenset({(), (UNSPECIFIED,), (ASSOCIATED_ALPHA,), (ALPHA,)})
_NOT_PREMULTIPLIED: _Extra = _ONE - {(ASSOCIATED_ALPHA,)}
_SEVERAL: _Extra = _ONE | {
    (COREL_ALPHA,),
    *(
        (first, UNSPECIFIED, UNSPECIFIED)[:count]
        for first in (UNSPECIFIED, ASSOCIATED_ALPHA, ALPHA)
        for count in (2, 3)
    ),
}
_INKS: _Extra = frozenset({(), (UNSPECIFIED,), (UNSPECIFIED, UNSPECIFIED)})
# By PhotometricInterpretation and SampleFormat, then by bits
_DECODED: dict[tuple[int, int], dict[int, _Extra]] = {
    (WHITE_IS_ZERO, UNSIGNED): {**dict.fromkeys((1, 2, 4, 8, 12), _NONE), 16: _NOT_PREMULTIPLIED},
    (BLACK_IS_ZERO, UNSIGNED): {**dict.fromkeys((1, 2, 4, 12, 32), _NONE), **dict.fromkeys((8, 16), _ONE)},
    (BLACK_IS_ZERO, SIGNED): dict.fromkeys((8, 16, 32), _NONE),
    (BLACK_IS_ZERO, FLOAT): dict.fromkeys((32, 64), _NONE),
    (RGB, UNSIGNED): {8: _SEVERAL, 16: _ONE},
    (PALETTE, UNSIGNED): {**dict.fromkeys((1, 2, 4), _NONE), 8: _NOT_PREMULTIPLIED},
    (CMYK, UNSIGNED): {8: _INKS, 16: _NONE},
    (YCBCR, UNSIGNED): {8: _NONE},
    (LAB, UNSIGNED): {8: _NONE},
}
_DECODED_PLANES: dict[int, _Extra] = {RGB: _ONE, CMYK: _NONE, YCBCR: _NONE}
_COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, LAB: 3}
_COLOUR_NAMES = {
    WHITE_IS_ZERO: "grey", BLACK_IS_ZERO: "grey", RGB: "RGB", PALETTE: "palette", 4: "mask", CMYK: "CMYK",
    YCBCR: "YCbCr", LAB: "Lab", 9: "ICCLab", 10: "ITULab", 32_844: "LogL", 32_845: "LogLuv",
}  # fmt: skip
_NUMBER_NAMES = {UNSIGNED: "", SIGNED: " signed", FLOAT: " floating-point"}
_COMPRESSIONS = FAX | PREDICTED | {RAW, OLD_JPEG, JPEG, PACKBITS}
_COMPRESSION_NAMES = {
    9: "JBIG", 10: "JBIG", 22_610: "JPEG XR", 32_766: "NeXT", 32_809: "ThunderScan", 32_909: "PixarLog",
    33_003: "JPEG 2000", 33_004: "JPEG 2000", 33_005: "JPEG 2000", 34_661: "JBIG", 34_676: "LogLuv", 34_677: "LogLuv",
    34_712: "JPEG 2000", 34_887: "LERC", 34_933: "PNG", 34_934: "JPEG XR", 50_001: "WebP", 50_002: "JPEG XL",
    52_546: "JPEG XL",
}  # fmt: skip
_JPEG_BITS, _JPEG_COLOURS = 8, frozenset({WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK, YCBCR})
# YCbCrSubSampling: TIFF 6.0, section 21. The codec knows no others.
_SUBSAMPLINGS = frozenset({(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4)})


def check_layout(tags: Tags) -> None:
    """Raise UnsupportedFormat, with the name of what is not supported, unless the page is decoded right."""
    layout = read_layout(tags)
    for problems in (_sample_problems(layout), _codec_problems(layout, tags)):
        for problem in problems:
            message = f"A TIFF with {problem} is not supported."
            raise UnsupportedFormat(message)


def _sample_problems(layout: TiffLayout) -> Iterator[str]:
    photometric, bits, extra = layout.photometric, layout.bits, layout.extra
    colours = _COLOUR_NAMES.get(photometric, f"unknown ({photometric})")
    decoded = _DECODED.get((photometric, layout.number), {})
    if photometric not in _COLOURS:
        yield f"{colours} colours"
    if len(set(bits)) != 1:
        yield f"{colours} samples of {', '.join(map(str, bits))} bits"
    if bits[0] not in decoded:
        yield f"{bits[0]}-bit{_NUMBER_NAMES.get(layout.number, ' void or complex')} {colours} samples"
    if len(bits) != _COLOURS[photometric] + len(extra) or extra not in decoded[bits[0]]:
        yield f"{colours} pixels of {len(bits)} x {bits[0]} bits{', one of them alpha,' if any(extra) else ''}"
    if layout.has_planes and extra not in _DECODED_PLANES.get(photometric, ()):
        yield f"{colours} pixels in {len(bits)} separate planes"


def _codec_problems(layout: TiffLayout, tags: Tags) -> Iterator[str]:
    compression, photometric, bits = layout.compression, layout.photometric, layout.bits[0]
    if compression not in _COMPRESSIONS:
        name = _COMPRESSION_NAMES.get(compression)
        yield f"{name} compression" if name else f"compression {compression}"
    if compression in FAX and layout.bits != (1,):
        yield f"fax compression of {bits}-bit samples"
    if compression == JPEG and (bits != _JPEG_BITS or photometric not in _JPEG_COLOURS):
        yield f"JPEG compression of {bits}-bit {_COLOUR_NAMES[photometric]} samples"
    predictor = tags.get(tag.PREDICTOR, (1,))[0] if compression in PREDICTED else 1
    if predictor != 1 and (predictor != (3 if layout.number == FLOAT else 2) or bits % 8):
        yield f"predictor {predictor} for {bits}-bit{_NUMBER_NAMES[layout.number]} samples"
    if photometric == CMYK and tags.get(tag.INK_SET, (1,))[0] != 1:
        yield "inks other than CMYK"
    if photometric == YCBCR and (layout.has_planes or compression not in (OLD_JPEG, JPEG)):
        subsampling = tags.get(tag.SUBSAMPLING, (2, 2))
        if subsampling not in ({(1, 1)} if layout.has_planes else _SUBSAMPLINGS):
            yield f"YCbCr subsampled by {' x '.join(map(str, subsampling))}"

"""Every layout of a TIFF is decoded right, whatever holds it, or refused as unsupported by its name."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from stages.errors import ImageTruncated, UnsupportedFormat
from stages.limits import Limits
from stages.normalize import Master, normalize
from stages.validate import validate
from tests.support.images import decode_image, encode_image, photo
from tests.support.tiff import (
    CMYK,
    DEFLATE,
    FLOAT,
    GREY,
    LAB,
    PACKBITS,
    PALETTE,
    RAW,
    RGB,
    SIGNED,
    WHITE_IS_ZERO,
    YCBCR,
    Row,
    TiffPage,
    write_tiff,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 19, 13  # no whole bytes of 12 bits in a row, and no whole tiles or strips
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2
Pixels = list[tuple[int, ...]]

ONE_SAMPLE = [
    *(TiffPage(photometric=zero, bits=bits) for zero in (WHITE_IS_ZERO, GREY) for bits in (1, 2, 4, 8, 12, 16)),
    TiffPage(photometric=GREY, bits=32),
    TiffPage(photometric=GREY, bits=32, sample_format=SIGNED),
    *(TiffPage(photometric=GREY, bits=bits, sample_format=FLOAT) for bits in (32, 64)),
]
LAYOUTS = [
    *ONE_SAMPLE,
    *(replace(page, planar=True) for page in ONE_SAMPLE),
    *(TiffPage(photometric=WHITE_IS_ZERO, bits=16, extra=(more,)) for more in (0, 2)),
    *(TiffPage(photometric=GREY, bits=bits, extra=(more,)) for bits in (8, 16) for more in (0, 1, 2)),
    *(TiffPage(bits=bits, planar=planar) for bits in (8, 16) for planar in (False, True)),
    *(
        TiffPage(bits=bits, planar=planar, extra=(more,))
        for bits in (8, 16)
        for planar in (False, True)
        for more in (0, 1, 2)
    ),
    *(TiffPage(extra=(*first, 0)) for first in ((0,), (1,), (2,), (0, 0), (1, 0), (2, 0))),
    *(TiffPage(photometric=CMYK, bits=bits, planar=planar) for bits in (8, 16) for planar in (False, True)),
    *(TiffPage(photometric=CMYK, bits=bits, planar=True, extra=(0,)) for bits in (8, 16)),
    *(TiffPage(photometric=CMYK, extra=(0,) * count) for count in (1, 2)),
    *(TiffPage(photometric=GREY, bits=bits, planar=True, extra=(0,)) for bits in (8, 12, 16)),
]
STORAGE: list[tuple[dict[str, Any], str, bool]] = [  # with the order of bytes, and whether it is a BigTIFF
    ({}, "<", False),
    ({"rows_per_strip": 5}, ">", False),
    ({"tile": (16, 16)}, "<", True),
    ({"compression": DEFLATE, "rows_per_strip": 4}, "<", False),
    ({"compression": DEFLATE, "tile": (16, 32)}, ">", False),
    ({"compression": PACKBITS}, "<", True),
]


def level(x: int, y: int) -> int:
    return (160 * x // (WIDTH - 1)) + (95 * y // (HEIGHT - 1))


def colour(x: int, y: int) -> tuple[int, int, int]:
    return 255 * x // (WIDTH - 1), 255 * y // (HEIGHT - 1), 255 - level(x, y)


def alpha(x: int, y: int) -> int:
    return 255 - 4 * x - 5 * y


def draw(page: TiffPage) -> list[Row]:
    """Draw the picture in the samples of a page."""
    return [[tuple(_sample(part, page) for part in _parts(page, x, y)) for x in range(WIDTH)] for y in range(HEIGHT)]


def _parts(page: TiffPage, x: int, y: int) -> tuple[float, ...]:
    cover = alpha(x, y) if page.extra[:1] in ((ASSOCIATED,), (UNASSOCIATED,)) else 77
    parts: tuple[float, ...] = (level(x, y),) if page.photometric in (WHITE_IS_ZERO, GREY) else colour(x, y)
    if page.photometric == WHITE_IS_ZERO:
        parts = (255 - level(x, y),)
    if page.photometric == CMYK:
        parts = (*(255 - part for part in parts), 0)
    if page.extra[:1] == (ASSOCIATED,):
        parts = tuple(part * cover / 255 for part in parts)
    return (*parts, *(cover, 99, 11)[: len(page.extra)])


def _sample(part: float, page: TiffPage) -> float:
    if page.sample_format == FLOAT:
        return part / 255
    top = (1 << (page.bits - 1 if page.sample_format == SIGNED else page.bits)) - 1
    return (int(part * 100) * top + 12_750) // 25_500


def expected(page: TiffPage) -> Pixels:
    pixels: Pixels = []
    for y in range(HEIGHT):
        for x in range(WIDTH):
            grey = level(x, y)
            if page.bits < 8 and page.photometric in (WHITE_IS_ZERO, GREY):
                stored = _sample(255 - grey if page.photometric == WHITE_IS_ZERO else grey, page)
                grey = round(stored * 255 / ((1 << page.bits) - 1))
                grey = 255 - grey if page.photometric == WHITE_IS_ZERO else grey
            opaque = colour(x, y) if page.photometric in (RGB, CMYK) else (grey,) * 3
            is_opaque = page.extra[:1] in ((), (UNSPECIFIED,))
            pixels.append(opaque if is_opaque else (*opaque, alpha(x, y)))
    return pixels


def master_of(original: bytes) -> Master:
    return normalize(original, edge=1600, limits=Limits())


def pixels_of(original: bytes) -> Pixels:
    return [pixel for pixel in master_of(original).image().get_flattened_data() if isinstance(pixel, tuple)]


def difference(found: Pixels, wanted: Pixels) -> int:
    """Return the largest difference of a sample; 256 if one has alpha and the other has not."""
    if {len(pixel) for pixel in found} != {len(pixel) for pixel in wanted} or len(found) != len(wanted):
        return 256
    return max(abs(a - b) for one, other in zip(found, wanted, strict=True) for a, b in zip(one, other, strict=True))


def describe(page: TiffPage) -> str:
    planes = " planar" if page.planar else ""
    return f"photometric {page.photometric}, {page.bits} bits, format {page.sample_format}, extra {page.extra}{planes}"


@pytest.mark.parametrize("page", LAYOUTS, ids=describe)
def test_a_layout_is_decoded_right_whatever_holds_it(page: TiffPage) -> None:
    rows, wanted = draw(page), expected(page)

    found = {
        f"{storage} {order} {big}": difference(
            pixels_of(write_tiff(replace(page, rows=rows, **storage), order=order, big=big)), wanted
        )
        for storage, order, big in STORAGE
    }

    assert {stored: worst for stored, worst in found.items() if worst > 2} == {}


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_differences_between_pixels_are_added_up(bits: int, order: str) -> None:
    page = TiffPage(photometric=GREY, bits=bits, compression=DEFLATE, predictor=2)

    assert difference(pixels_of(write_tiff(replace(page, rows=draw(page)), order=order)), expected(page)) <= 2


@pytest.mark.parametrize("page", [TiffPage(), TiffPage(photometric=GREY), TiffPage(photometric=GREY, bits=1)])
@pytest.mark.parametrize("compression", [RAW, DEFLATE])
def test_bits_may_be_stored_in_reverse(page: TiffPage, compression: int) -> None:
    stored = replace(page, rows=draw(page), fill_order=2, compression=compression)

    assert difference(pixels_of(write_tiff(stored)), expected(page)) <= 2


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize(("scale", "planar"), [(1, False), (257, False), (257, True)])
def test_the_colours_of_a_palette_may_have_8_or_16_bits(bits: int, scale: int, *, planar: bool) -> None:
    palette = [(entry * 255 // ((1 << bits) - 1), 255 - entry, entry * 37 % 256) for entry in range(1 << bits)]
    rows = [[(x * y % (1 << bits),) for x in range(WIDTH)] for y in range(HEIGHT)]
    colours = [part * scale for band in zip(*palette, strict=True) for part in band]

    original = write_tiff(TiffPage(rows=rows, bits=bits, photometric=PALETTE, planar=planar, tags={320: colours}))

    assert pixels_of(original) == [palette[entry] for row in rows for (entry,) in row]


@pytest.mark.parametrize("compression", ["tiff_lzw", "lzma", "zstd", "tiff_deflate", "packbits", "group3", "group4"])
def test_a_compression_is_decoded(compression: str) -> None:
    picture = photo().convert("1" if compression.startswith("group") else "RGB")

    found = master_of(encode_image(picture, "tiff", compression=compression)).image()

    assert found.tobytes() == picture.convert("RGB").tobytes()


@pytest.mark.parametrize("blocks", [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4)])
@pytest.mark.parametrize("compression", [RAW, DEFLATE])
def test_subsampled_colours_are_decoded(blocks: tuple[int, int], compression: int) -> None:
    across, down = blocks
    grey, content = Image.linear_gradient("L").resize((16, 8)), b""
    for top in range(0, 8, down):
        for left in range(0, 16, across):
            content += grey.crop((left, top, left + across, top + down)).tobytes() + bytes((90, 200))
    size: dict[int, Sequence[int] | None] = {256: [16], 257: [8], 278: [8], 530: [across, down]}
    chunks = [content if compression == RAW else zlib.compress(content)]

    found = pixels_of(write_tiff(TiffPage(photometric=YCBCR, compression=compression, chunks=chunks, tags=size)))

    bands = (grey, Image.new("L", (16, 8), 90), Image.new("L", (16, 8), 200))
    wanted = Image.merge("YCbCr", bands).convert("RGB")
    assert difference(found, list(wanted.get_flattened_data())) <= 2  # type: ignore[arg-type]


def test_lab_is_decoded() -> None:
    lab = (150, 40, 236)  # L* 59, a* 40, b* -20

    found = pixels_of(write_tiff(TiffPage(photometric=LAB, rows=[[lab]])))

    assert difference(found, [(196, 113, 178)]) <= 1  # colour-science 0.4.7: Lab_to_XYZ and XYZ_to_sRGB, from D50


def test_an_old_jpeg_in_a_tiff_is_decoded() -> None:
    content = encode_image(photo(), "jpeg", subsampling="4:4:4")
    size: dict[int, Sequence[int] | None] = {256: [96], 257: [64], 278: [64]}
    jpeg: dict[int, Sequence[int] | None] = {513: [8], 514: [len(content)], 530: [1, 1]}

    found = pixels_of(write_tiff(TiffPage(photometric=YCBCR, compression=6, chunks=[content], tags=size | jpeg)))

    assert difference(found, list(decode_image(content).get_flattened_data())) <= 4  # type: ignore[arg-type]


@pytest.mark.parametrize("page", [TiffPage(), TiffPage(extra=(UNASSOCIATED,)), TiffPage(photometric=GREY, bits=12)])
def test_the_size_of_an_uncompressed_strip_may_be_overstated(page: TiffPage) -> None:
    overstated = replace(page, rows=draw(page), tags={279: [35_711_440]})

    assert difference(pixels_of(write_tiff(overstated)), expected(page)) <= 2
    with pytest.raises(ImageTruncated):
        validate(write_tiff(replace(overstated, tags={**overstated.tags, 273: [300]})), limits=Limits())


@pytest.mark.parametrize(
    ("tags", "others", "holder"),
    [((324, 325), (273, 279), {"tile": (16, 16)}), ((273, 279), (324, 325), {"rows_per_strip": 5})],
)
@pytest.mark.parametrize("page", [TiffPage(), TiffPage(planar=True), TiffPage(compression=DEFLATE)])
def test_tiles_may_be_listed_as_strips_and_strips_as_tiles(
    page: TiffPage, tags: tuple[int, int], others: tuple[int, int], holder: dict[str, Any]
) -> None:
    original = write_tiff(replace(page, rows=draw(page), **holder))
    for tag, other, kind in zip(tags, others, (4, 3), strict=True):
        original = original.replace(struct.pack("<HH", tag, kind), struct.pack("<HH", other, kind))

    assert difference(pixels_of(original), expected(page)) <= 2


UNSUPPORTED = {
    "16-bit floating-point grey samples": TiffPage(photometric=GREY, bits=16, sample_format=FLOAT),
    "32-bit floating-point RGB samples": TiffPage(bits=32, sample_format=FLOAT),
    "6-bit grey samples": TiffPage(photometric=GREY, bits=6),
    "10-bit grey samples": TiffPage(photometric=GREY, bits=10),
    "14-bit grey samples": TiffPage(photometric=GREY, bits=14),
    "24-bit grey samples": TiffPage(photometric=GREY, bits=24),
    "64-bit grey samples": TiffPage(photometric=GREY, bits=64),
    "12-bit RGB samples": TiffPage(bits=12),
    "16-bit signed RGB samples": TiffPage(bits=16, sample_format=SIGNED),
    "8-bit void or complex RGB samples": TiffPage(tags={339: [4, 4, 4]}),
    "RGB samples of 5, 6, 5 bits": TiffPage(tags={258: [5, 6, 5]}),
    "RGB pixels of 5 x 16 bits": TiffPage(bits=16, extra=(0, 0)),
    "RGB pixels of 1 x 8 bits": TiffPage(tags={277: None}),
    "CMYK pixels of 5 x 8 bits, one of them alpha,": TiffPage(photometric=CMYK, extra=(UNASSOCIATED,)),
    "grey pixels in 2 separate planes": TiffPage(photometric=GREY, planar=True, extra=(ASSOCIATED,)),
    "RGB pixels of 4 x 8 bits": TiffPage(planar=True, extra=(0,), tags={338: None}),
    "Lab pixels in 3 separate planes": TiffPage(photometric=LAB, planar=True),
    "16-bit Lab samples": TiffPage(photometric=LAB, bits=16),
    "ICCLab colours": TiffPage(photometric=9),
    "LogLuv colours": TiffPage(photometric=32_845),
    "unknown (77) colours": TiffPage(photometric=77),
    "WebP compression": TiffPage(compression=50_001),
    "LERC compression": TiffPage(compression=34_887),
    "JPEG 2000 compression": TiffPage(compression=34_712),
    "compression 12345": TiffPage(compression=12_345),
    "fax compression of 8-bit samples": TiffPage(compression=4),
    "JPEG compression of 16-bit RGB samples": TiffPage(bits=16, compression=7),
    "predictor 2 for 4-bit samples": TiffPage(photometric=GREY, bits=4, compression=DEFLATE, predictor=2),
    "inks other than CMYK": TiffPage(photometric=CMYK, tags={332: [2]}),
    "YCbCr subsampled by 1 x 4": TiffPage(photometric=YCBCR, tags={530: [1, 4]}),
    "YCbCr subsampled by 2 x 2": TiffPage(photometric=YCBCR, planar=True),
}


@pytest.mark.parametrize(("name", "page"), UNSUPPORTED.items(), ids=UNSUPPORTED)
def test_any_other_layout_is_refused_by_its_name(name: str, page: TiffPage) -> None:
    original = write_tiff(replace(page, rows=draw(page)))

    for stage in (lambda: validate(original, limits=Limits()), lambda: master_of(original)):
        with pytest.raises(UnsupportedFormat, match=re.escape(f"A TIFF with {name} is not supported.")):
            stage()


def test_a_tiff_is_turned_after_it_is_decoded() -> None:
    page = TiffPage(rows=[[(200, 0, 0), (0, 200, 0)]], bits=16, tags={274: [6]})

    facts, master = validate(write_tiff(page), limits=Limits()), master_of(write_tiff(page))

    assert (facts.width, facts.height) == (master.width, master.height) == (1, 2)


def test_a_big_endian_big_tiff_is_refused() -> None:
    with pytest.raises(UnsupportedFormat, match="A big-endian BigTIFF is not supported"):
        validate(write_tiff(TiffPage(rows=draw(TiffPage())), order=">", big=True), limits=Limits())

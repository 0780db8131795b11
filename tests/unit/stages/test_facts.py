"""What validate learns of an original beside its size: bits, colours, transparency, and whether a place is stated."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import asdict
from typing import Any

import pytest
from PIL import Image

from stages.formats import ACCEPTED_FORMATS
from stages.limits import Limits
from stages.validate import ImageFacts, StatedColours, validate
from tests.support.avif import avif as boxes
from tests.support.avif import coded
from tests.support.bmps import bmp
from tests.support.images import animation, chunk, cutout, encode_image, exif, photo, png, rgb_profile
from tests.support.webps import webp, webp_frame

PLACE = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description exif:GPSLatitude="52,5.4N"/></x:xmpmeta>'
NO_PLACE = (
    b"<x:xmpmeta><rdf:Description photoshop:City='Latitude' exif:GPSLatitude=\"\" exif:GPSLatitudeRef='N'>"
    b"<exif:GPSLongitude> </exif:GPSLongitude></rdf:Description></x:xmpmeta>"
)
WITH_METADATA = tuple(name for name in ACCEPTED_FORMATS if name not in ("gif", "bmp"))
GREY_DOT: dict[str, Any] = {"depth": 8, "colour": 0, "rows": [b"\0"]}


def facts_of(original: bytes) -> ImageFacts:
    return validate(original, limits=Limits())


def encode(name: str, image: Image.Image | None = None, **options: object) -> bytes:
    """Encode in any accepted format."""
    if name != "heic":
        return encode_image(image or photo(), name, **options)
    from tests.tools.fuzz.seed_files import heic  # noqa: PLC0415

    return heic(image or photo(), **options)


def avif(bits: int) -> bytes:
    """Build an AVIF that says it has so many bits, in both places where it has to."""
    original, flags = boxes(coded((8, 8))), {8: 0, 10: 0x40, 12: 0x60}[bits]
    at = original.index(b"av1C") + 6
    original = original[:at] + bytes([original[at] & 0x9F | flags]) + original[at + 1 :]
    return original.replace(b"\3\x08\x08\x08", bytes((3, bits, bits, bits)))


def gps_block(*fields: tuple[int, int, int, bytes], order: str = "<", big: bool = False) -> bytes:
    """Build an EXIF block whose GPS directory has these fields: a tag, a type, a number of values, and their bytes."""
    pointer, count, entry, inline = ("Q", "Q", "HHQ", 8) if big else ("I", "H", "HHI", 4)
    start = struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    lengths = [struct.calcsize(order + count) + number * (struct.calcsize(order + entry) + inline) + inline
               for number in (1, len(fields))]  # fmt: skip
    gps_at = 2 + len(start) + lengths[0]
    pointers = struct.pack(order + count + entry + pointer, 1, 34_853, 13 if not big else 18, 1, gps_at) + bytes(inline)
    gps, values = struct.pack(order + count, len(fields)), b""
    for tag, kind, number, value in fields:
        is_inline = len(value) <= inline
        place = struct.pack(order + pointer, gps_at + lengths[1] + len(values))
        gps += struct.pack(order + entry, tag, kind, number) + (value.ljust(inline, b"\0") if is_inline else place)
        values += b"" if is_inline else value
    return (b"II" if order == "<" else b"MM") + start + pointers + gps + bytes(inline) + values


def latitude(*, order: str = "<", divisor: int = 1) -> tuple[int, int, int, bytes]:
    """Return a latitude as three rationals of one divisor."""
    return (2, 5, 3, struct.pack(order + "6I", 52, divisor, 5, divisor, 29, divisor))


def in_jpeg(block: bytes) -> bytes:
    return encode_image(photo(8, 8), "jpeg", exif=b"Exif\0\0" + block)


def raw_profile(name: bytes, block: bytes) -> bytes:
    """Build the text in which ImageMagick keeps a profile in a PNG."""
    return b"Raw profile type %b\0\n%b\n%8d\n%b\n" % (name, name, len(block), block.hex().encode())


def pack_text(text: bytes) -> bytes:
    """Build the compressed chunk of a text."""
    keyword, _, value = text.partition(b"\0")
    return chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(value))


@pytest.mark.parametrize(
    ("bits", "original"),
    [
        *[(depth, png(1, 1, depth=depth, colour=0, rows=[bytes(2)])) for depth in (1, 2, 4, 8, 16)],
        (16, png(1, 1, depth=16, colour=6, rows=[bytes(8)])),
        (8, png(1, 1, depth=2, colour=3, rows=[b"\0"], before=chunk(b"PLTE", bytes(6)))),
        (8, encode_image(photo(), "jpeg", progressive=True)),
        (8, animation("gif")),
        (8, encode_image(photo().quantize(4), "gif")),
        (8, encode_image(photo(), "webp")),
        (1, encode_image(photo().convert("1"), "tiff")),
        (8, encode_image(photo().quantize(16), "tiff")),
        (16, encode_image(Image.new("I;16", (2, 2)), "tiff")),
        (32, encode_image(Image.new("F", (2, 2)), "tiff", big_tiff=True)),
        (8, bmp((1, 1), 24, bytes(4))),
        (8, bmp((1, 1), 32, bytes(4))),
        (5, bmp((1, 1), 16, bytes(4))),
        (6, bmp((1, 1), 16, bytes(4), coding=3, masks=(0xF800, 0x7E0, 0x1F))),
        (8, encode_image(photo().quantize(16), "bmp")),
        (8, avif(8)),
        (10, avif(10)),
        (12, avif(12)),
    ],
)
def test_the_bits_of_a_channel_are_those_of_the_file(bits: int, original: bytes) -> None:
    assert facts_of(original).bit_depth == bits


@pytest.mark.skipif("heic" not in ACCEPTED_FORMATS, reason="pillow-heif is not installed")
@pytest.mark.parametrize("bits", [8, 10])
def test_a_heic_of_ten_bits_says_so(bits: int) -> None:
    from pillow_heif import from_bytes  # noqa: PLC0415  an optional dependency

    content, is_deep = io.BytesIO(), bits > 8
    from_bytes("RGB;16" if is_deep else "RGB", (8, 8), bytes(384 if is_deep else 192)).save(content)

    assert facts_of(content.getvalue()).bit_depth == bits


@pytest.mark.parametrize(
    ("has_alpha", "original"),
    [
        (False, encode_image(photo(), "jpeg")),
        (False, encode_image(photo(), "png")),
        (True, encode_image(photo().convert("LA"), "png")),
        (True, png(1, 1, **GREY_DOT, before=chunk(b"tRNS", b"\0\7"))),
        (True, png(1, 1, depth=8, colour=3, rows=[b"\0"], before=chunk(b"PLTE", bytes(3)) + chunk(b"tRNS", b"\0"))),
        (False, png(1, 1, depth=8, colour=3, rows=[b"\0"], before=chunk(b"PLTE", bytes(3)))),
        (False, encode_image(photo().quantize(), "gif")),
        (True, encode_image(photo().quantize(), "gif", transparency=3)),
        (False, encode_image(photo(), "webp")),
        (True, encode_image(cutout(), "webp")),
        (True, encode_image(cutout(), "webp", lossless=False)),
        (False, animation("webp")),
        (False, webp((8, 8), webp_frame((0, 0), photo(8, 8)), webp_frame((0, 0), cutout(8, 8)))),
        (True, webp((8, 8), webp_frame((0, 0), cutout(8, 8)), webp_frame((0, 0), photo(8, 8)))),
        (True, webp((8, 8), webp_frame((0, 0), photo(6, 8)))),
        (True, webp((8, 8), webp_frame((2, 0), photo(6, 8)))),
        (True, encode_image(cutout(), "tiff")),
        (False, encode_image(photo(), "tiff")),
        (False, bmp((1, 1), 32, bytes(4))),
        (True, encode_image(cutout(), "avif")),
        (False, encode_image(photo(), "avif")),
    ],
)
def test_alpha_is_what_a_header_says_of_transparency(has_alpha: bool, original: bytes) -> None:
    assert facts_of(original).has_alpha is has_alpha
    assert validate(original, limits=Limits(), animated=True).has_alpha is has_alpha


def test_the_colour_space_has_the_name_of_the_profile_and_no_more() -> None:
    profile = rgb_profile("p3")

    facts = facts_of(encode_image(photo(), "jpeg", icc_profile=profile))

    assert facts.colour_space.source == "icc"
    assert asdict(facts)["colour_space"].keys() == {"name", "source"}
    assert facts_of(encode_image(photo(), "jpeg")).colour_space == StatedColours("sRGB", "none")


@pytest.mark.parametrize("has_gps", [True, False])
@pytest.mark.parametrize("name", WITH_METADATA)
def test_a_position_in_the_exif_is_found_in_every_format(name: str, has_gps: bool) -> None:
    assert facts_of(encode(name, exif=exif(6, gps=has_gps))).has_gps is has_gps


@pytest.mark.parametrize(
    ("has_gps", "packet"), [(True, PLACE), (False, NO_PLACE), (True, PLACE.decode().encode("utf-16"))]
)
@pytest.mark.parametrize("name", [name for name in WITH_METADATA if name not in ("png", "tiff")])
def test_a_position_in_the_xmp_is_found(name: str, has_gps: bool, packet: bytes) -> None:
    assert facts_of(encode(name, xmp=packet)).has_gps is has_gps


@pytest.mark.parametrize("name", ["gif", "bmp"])
def test_a_format_without_metadata_has_no_position(name: str) -> None:
    assert facts_of(encode(name)).has_gps is False


@pytest.mark.parametrize(
    "original",
    [
        png(1, 1, **GREY_DOT, before=chunk(b"eXIf", gps_block(latitude()))),
        png(1, 1, **GREY_DOT, after=chunk(b"eXIf", gps_block(latitude()))),
        png(1, 1, **GREY_DOT, before=chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PLACE)),
        png(1, 1, **GREY_DOT, before=chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(PLACE))),
        png(1, 1, **GREY_DOT, after=chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0en\0title\0" + PLACE)),
        png(1, 1, **GREY_DOT, before=chunk(b"eXIf", b"Exif\0\0" + gps_block(latitude()))),
        png(1, 1, **GREY_DOT, after=pack_text(raw_profile(b"xmp", PLACE))),
        png(1, 1, **GREY_DOT, before=chunk(b"tEXt", raw_profile(b"exif", b"Exif\0\0" + gps_block(latitude())))),
        png(1, 1, **GREY_DOT, before=chunk(b"tEXt", raw_profile(b"APP1", b"http://ns.adobe.com/xap/1.0/\0" + PLACE))),
        encode_image(photo(), "tiff", tiffinfo={700: PLACE}),
        encode_image(photo(), "tiff", big_tiff=True, exif=exif()),
        encode_image(photo(), "jpeg", extra=b"\xff\xe1" + struct.pack(">H", 77 + len(PLACE))
                     + b"http://ns.adobe.com/xmp/extension/\0" + bytes(40) + PLACE),
    ],
)  # fmt: skip
def test_a_position_is_found_wherever_programs_write_it(original: bytes) -> None:
    assert facts_of(original).has_gps is True


@pytest.mark.parametrize(
    ("has_gps", "block"),
    [
        (True, gps_block((0, 1, 4, b"\2\3\0\0"), latitude())),
        (True, gps_block(latitude(order=">"), order=">")),
        (True, gps_block(latitude(), big=True)),
        (True, gps_block((4, 5, 1, struct.pack("<2I", 1, 1)), big=True)),
        (True, gps_block((22, 10, 3, struct.pack("<6i", -4, 1, 18, 1, 26, 1)))),
        (False, gps_block()),
        (False, gps_block((0, 1, 4, b"\2\3\0\0"))),
        (False, gps_block(latitude(divisor=0))),
        (False, gps_block((29, 2, 11, b"2026:11:22\0"))),
        (None, gps_block(latitude())[:40]),
        (None, gps_block(latitude())[:-1]),
        (None, gps_block((2, 2, 12, b"52, 5, 29 N\0"))),
        (None, gps_block()[:12]),
        (None, gps_block(latitude()).replace(b"\x25\x88\x0d\0", b"\x25\x88\x05\0")),
        (None, b"rubbish"),
        (None, b"II*\0\xff\xff\xff\xff"),
        (None, b"II*\0"),
        (False, b""),
    ],
)
def test_a_position_is_a_number_and_damage_is_no_answer(has_gps: bool | None, block: bytes) -> None:
    assert facts_of(in_jpeg(block)).has_gps is has_gps


@pytest.mark.parametrize(
    ("has_gps", "text"),
    [
        (False, b""),
        (None, b"\n\n\nnot hex"),
        (None, b"\nexif\n4\n49492a00"),
        (False, b"\nexif\n8\n" + exif(gps=False).hex().encode()),
    ],
)
def test_a_text_that_is_no_profile_is_no_answer(has_gps: bool | None, text: bytes) -> None:
    original = png(1, 1, **GREY_DOT, before=chunk(b"tEXt", b"Raw profile type exif\0" + text))

    assert facts_of(original).has_gps is has_gps


def test_a_position_beside_damaged_exif_is_found() -> None:
    assert facts_of(encode_image(photo(), "jpeg", exif=b"Exif\0\0rubbish", xmp=PLACE)).has_gps is True


def test_texts_are_unpacked_up_to_a_limit() -> None:
    bomb = pack_text(b"Raw profile type exif\0" + b"\n" * (5 * 1024 * 1024))

    for texts, has_gps in ((bomb, None), (bomb * 50, None), (pack_text(raw_profile(b"xmp", PLACE)) + bomb, True)):
        assert facts_of(png(1, 1, **GREY_DOT, after=texts)).has_gps is has_gps

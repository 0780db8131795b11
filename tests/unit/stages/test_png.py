"""A PNG shows what it shows in browsers: what is shown must be sound, what is not may be broken.

The expected answers were measured with Chromium 156, the colours of sound files are computed from their samples.
"""

from __future__ import annotations

import struct
import zlib

import pytest

from stages.animate import animate
from stages.errors import StageError
from stages.limits import Limits
from stages.normalize import normalize
from stages.png.inspection import inspect_png
from stages.validate import validate
from tests.support.images import build_png, chunk, encode_image, exif, pack_rows, pack_samples, photo, rgb_profile

Pixel = tuple[int, ...]
LIMITS = Limits()
ORIENTATION = exif(6, gps=False).removeprefix(b"Exif\0\0")


def bad(kind: bytes, content: bytes = b"") -> bytes:
    """Build a chunk with a wrong checksum."""
    return chunk(kind, content)[:-4] + b"\1\2\3\4"


def profile(size: int = 0, name: bytes = b"p3", method: bytes = b"\0") -> bytes:
    """Build an iCCP chunk whose profile is filled up to a size."""
    content = rgb_profile("p3")
    content += bytes(max(0, size - len(content)))
    return chunk(b"iCCP", name + b"\0" + method + zlib.compress(struct.pack(">I", len(content)) + content[4:]))


def turned(orientation: bytes = ORIENTATION) -> bytes:
    return chunk(b"eXIf", orientation)


def shown(original: bytes) -> tuple[tuple[int, int], list[Pixel]]:
    """Return the size and the pixels, with alpha."""
    image = normalize(original, edge=1600, limits=LIMITS).image().convert("RGBA")
    return image.size, [*image.get_flattened_data()]


def code_of(original: bytes) -> str:
    try:
        validate(original, limits=LIMITS)
        normalize(original, edge=1600, limits=LIMITS)
    except StageError as error:
        return error.code
    return ""


ROWS = [bytes(40 * y + 3 * x for x in range(9)) for y in range(5)]
PIXELS = pack_rows(ROWS)
IDAT = chunk(b"IDAT", PIXELS)
INDICES = chunk(b"IDAT", pack_rows([bytes((0, 1, 2))] * 5))
PALETTE = chunk(b"PLTE", bytes(range(100, 112)))


def rgb(*before: bytes, idat: bytes = IDAT, after: bytes = b"") -> bytes:
    return build_png(*before, idat, after, size=(3, 5), colour=2)


def indexed(*before: bytes, idat: bytes = INDICES) -> bytes:
    return build_png(*before, idat, size=(3, 5), colour=3)


def end_cut(length: int) -> bytes:
    return rgb()[:-length]


KEY, ALPHAS = pack_samples(0, 3, 6), bytes((0, 128))
SWELLING = zlib.compress(bytes(8 << 20))
IGNORED = {
    "a wrong checksum of a text": rgb(bad(b"tEXt", b"a\0b")),
    "a wrong checksum of a gamma": rgb(bad(b"gAMA", pack_samples(1, 34464))),
    "a wrong checksum of a profile": rgb(bad(b"iCCP", profile()[8:-4])),
    "a wrong checksum of an orientation": rgb(bad(b"eXIf", ORIENTATION)),
    "a wrong checksum behind the pixels": rgb(after=bad(b"tEXt", b"a\0b")),
    "a wrong checksum of the end": end_cut(12) + bad(b"IEND"),
    "an empty cHRM": rgb(chunk(b"cHRM")),
    "an empty gAMA": rgb(chunk(b"gAMA")),
    "an empty sRGB": rgb(chunk(b"sRGB")),
    "a short pHYs": rgb(chunk(b"pHYs", b"\0\1")),
    "a profile packed by another method": rgb(profile(method=b"\1")),
    "a profile without a name": rgb(profile(name=b"")),
    "a profile of a long name": rgb(profile(name=b"n" * 80)),
    "an empty profile": rgb(chunk(b"iCCP")),
    "a profile cut short": rgb(chunk(b"iCCP", profile()[8:-8])),
    "a profile behind the pixels": rgb(after=profile()),
    "a second profile": rgb(chunk(b"iCCP", b"a\0\0"), profile()),
    "a profile over 4 MiB": rgb(profile(8 << 20)),
    "a text that swells": rgb(chunk(b"zTXt", b"a\0\0" + SWELLING)),
    "an international text that swells": rgb(chunk(b"iTXt", b"a\0\1\0\0\0" + SWELLING)),
    "a text that swells behind the pixels": rgb(after=chunk(b"zTXt", b"a\0\0" + SWELLING)),
    "texts that swell together": rgb(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20)))] * 80),
    "a text packed by another method": rgb(chunk(b"zTXt", b"a\0\1b")),
    "a name of four odd bytes": rgb(chunk(b"a\0\xe1\xff", b"b")),
    "an unknown chunk behind the pixels": rgb(after=chunk(b"ABCD")),
    "frames that nothing announces": rgb(chunk(b"fcTL", struct.pack(">5I2H2B", 0, 1, 1, 0, 0, 1, 1, 0, 0))),
    "pixels of frames before the others": rgb(chunk(b"fdAT", bytes(4) + PIXELS)),
    "an orientation behind the pixels": rgb(after=turned()),
    "an orientation with the header of a JPEG's": rgb(turned(b"Exif\0\0" + ORIENTATION)),
    "an orientation in a text": rgb(
        chunk(b"tEXt", b"Raw profile type exif\0\nexif\n%8d\n%s\n" % (len(ORIENTATION), ORIENTATION.hex().encode()))
    ),
    "a transparent colour behind the pixels": rgb(after=chunk(b"tRNS", KEY)),
    "a short transparent colour": rgb(chunk(b"tRNS", KEY[:4])),
    "an empty transparent colour": rgb(chunk(b"tRNS")),
    "a wrong checksum of zlib": rgb(idat=chunk(b"IDAT", PIXELS[:-4] + b"\1\2\3\4")),
    "more rows than are shown": rgb(idat=chunk(b"IDAT", pack_rows(ROWS * 2))),
    "bytes behind the compressed pixels": rgb(idat=chunk(b"IDAT", PIXELS + b"rubbish")),
    "an empty part of the pixels": rgb(idat=chunk(b"IDAT", PIXELS[:20]) + chunk(b"IDAT") + chunk(b"IDAT", PIXELS[20:])),
    "no end": end_cut(12),
    "half an end": end_cut(5),
    "no checksum of the pixels": end_cut(12 + 4),
    "no checksum of zlib": end_cut(12 + 4 + 4),
    "rubbish for an end": end_cut(12) + b"rubbish" * 9,
    "a text that goes on behind the end": end_cut(12) + b"\0\1\0\0tEXta\0b",
    **{
        f"a text named {keyword.decode()}": rgb(chunk(b"tEXt", keyword + b"\0junk"))
        for keyword in (b"bbox", b"duration", b"exif", b"gamma", b"icc_profile", b"interlace", b"loop", b"transparency")
    },
}
IGNORED_INDEXED = {
    "alphas before the palette": indexed(chunk(b"tRNS", ALPHAS), PALETTE),
    "more alphas than a palette can have": indexed(PALETTE, chunk(b"tRNS", bytes(300))),
    "half a colour in the palette": indexed(chunk(b"PLTE", bytes(range(100, 114)))),
}
REFUSED = {
    "a wrong checksum of the header": (rgb()[:29] + bytes(4) + rgb()[33:], "image_corrupt"),
    "a wrong checksum of the palette": (indexed(bad(b"PLTE", bytes(12))), "image_corrupt"),
    "a wrong checksum of the transparent colour": (rgb(bad(b"tRNS", KEY)), "image_corrupt"),
    "a wrong checksum of the pixels": (rgb(idat=bad(b"IDAT", PIXELS)), "image_corrupt"),
    "no palette": (indexed(), "image_corrupt"),
    "an empty palette": (indexed(chunk(b"PLTE")), "image_corrupt"),
    "a palette of 257 colours": (indexed(chunk(b"PLTE", bytes(771))), "image_corrupt"),
    "two palettes": (indexed(PALETTE, PALETTE), "image_corrupt"),
    "two headers": (rgb(rgb()[8:33]), "image_corrupt"),
    "a text before the header": (rgb()[:8] + chunk(b"tEXt", b"a\0b") + rgb()[8:], "image_corrupt"),
    "a depth of 3 bits": (build_png(IDAT, depth=3), "image_corrupt"),
    "an unknown interlacing": (build_png(IDAT, interlace=2), "image_corrupt"),
    "no pixels": (rgb(idat=b""), "image_corrupt"),
    "an unknown chunk that is necessary": (rgb(chunk(b"ABCD")), "unsupported_format"),
    "Apple's variant": (rgb()[:8] + chunk(b"CgBI", b"\x50\0\x20\2") + rgb()[8:], "unsupported_format"),
    "too few rows": (rgb(idat=chunk(b"IDAT", pack_rows(ROWS[:-1]))), "image_truncated"),
    "too few rows before other bytes": (rgb(idat=chunk(b"IDAT", pack_rows(ROWS[:-1]) + b"rubbish")), "image_truncated"),
    "too few rows before other pixels": (rgb(idat=chunk(b"IDAT", pack_rows(ROWS[:-1])) + IDAT), "image_truncated"),
    "a row cut short": (rgb(idat=chunk(b"IDAT", zlib.compress(zlib.decompress(PIXELS)[:-1]))), "image_truncated"),
    "pixels cut short": (rgb(idat=chunk(b"IDAT", PIXELS[:-9])), "image_truncated"),
    "pixels cut short by the end": (end_cut(12 + 4 + 5), "image_truncated"),
    "pixels interrupted by a text": (
        rgb(idat=chunk(b"IDAT", PIXELS[:20]) + chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", PIXELS[20:])),
        "image_truncated",
    ),
}


@pytest.mark.parametrize("original", IGNORED.values(), ids=IGNORED)
def test_what_browsers_ignore_changes_nothing(original: bytes) -> None:
    assert shown(original) == shown(rgb())
    assert animate(original, edge=16, limits=LIMITS).width == 3


@pytest.mark.parametrize("original", IGNORED_INDEXED.values(), ids=IGNORED_INDEXED)
def test_what_browsers_ignore_of_a_palette_changes_nothing(original: bytes) -> None:
    assert shown(original) == shown(indexed(PALETTE))


@pytest.mark.parametrize(("original", "code"), REFUSED.values(), ids=REFUSED)
def test_what_is_shown_must_be_sound(original: bytes, code: str) -> None:
    assert code_of(original) == code


@pytest.mark.parametrize("size", [2 << 20, (4 << 20) - 64])
def test_a_large_profile_is_applied(size: int) -> None:
    assert shown(rgb(profile(size))) == shown(rgb(profile())) != shown(rgb())


def test_the_first_of_two_chunks_counts() -> None:
    assert shown(rgb(profile(), chunk(b"iCCP", b"a\0\0"))) == shown(rgb(profile()))
    assert shown(rgb(turned(), turned(exif(3, gps=False).removeprefix(b"Exif\0\0")))) == shown(rgb(turned()))
    assert shown(rgb(turned()))[0] == (5, 3)
    assert shown(indexed(PALETTE, chunk(b"tRNS", ALPHAS), chunk(b"tRNS", b"\7\7\7"))) == (
        shown(indexed(PALETTE, chunk(b"tRNS", ALPHAS)))
    )


def test_a_number_beyond_the_palette_has_its_last_colour() -> None:
    beyond = chunk(b"IDAT", pack_rows([bytes((2, 4, 200))] * 5))
    short = chunk(b"PLTE", bytes(range(100, 109)))

    assert set(shown(indexed(short, idat=beyond))[1]) == {(106, 107, 108, 255)}
    assert set(shown(indexed(short, chunk(b"tRNS", bytes((9, 9, 128, 9))), idat=beyond))[1]) == {(106, 107, 108, 128)}
    assert {pixel[3] for pixel in shown(indexed(short, chunk(b"tRNS", bytes((255, 255, 0))), idat=beyond))[1]} == {0}


@pytest.mark.parametrize(
    "original",
    [
        encode_image(photo(), exif=exif(6), icc_profile=rgb_profile("p3"), dpi=(300, 300)),
        encode_image(photo().quantize(9), transparency=3),
        rgb(chunk(b"gAMA", pack_samples(0, 45455)), chunk(b"cICP", b"\x0c\x0d\0\1"), chunk(b"tEXt", b"Author\0A")),
        rgb(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"), chunk(b"vpAg", bytes(9)), after=bad(b"tIME")),
        end_cut(12),
    ],
)
def test_a_file_that_the_decoder_understands_is_not_copied(original: bytes) -> None:
    assert inspect_png(original, LIMITS).content is None

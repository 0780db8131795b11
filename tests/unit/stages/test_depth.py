"""Every depth and layout of pixels becomes 8 bits a channel: values are scaled, never clipped."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from stages.limits import Limits
from stages.normalize import Master, normalize
from tests.support.images import chunk, encode_image, pack_samples, png

LEVELS = (0, 1000, 20_000, 32_768, 65_535)
SCALED = [round(level / 257) for level in LEVELS]


def master_of(original: bytes) -> Master:
    return normalize(original, edge=1600, limits=Limits())


def pixels(original: bytes) -> list[tuple[int, ...]]:
    found = list(master_of(original).image().get_flattened_data())
    return [pixel for pixel in found if isinstance(pixel, tuple)]


def test_a_16_bit_grey_png_is_scaled() -> None:
    original = png(5, 1, depth=16, colour=0, rows=[pack_samples(*LEVELS)])

    assert pixels(original) == [(level,) * 3 for level in SCALED]


def test_a_16_bit_rgb_png_is_scaled() -> None:
    original = png(1, 1, depth=16, colour=2, rows=[pack_samples(65_535, 32_768, 1000)])

    assert pixels(original)[0] == pytest.approx((255, 128, 4), abs=1)


@pytest.mark.parametrize(
    ("colour", "sample", "expected"),
    [(6, (65_535, 32_768, 1000, 32_768), (255, 128, 4, 128)), (4, (32_768, 32_768), (128, 128, 128, 128))],
)
def test_a_16_bit_png_with_alpha_is_scaled(colour: int, sample: tuple[int, ...], expected: tuple[int, ...]) -> None:
    original = png(1, 1, depth=16, colour=colour, rows=[pack_samples(*sample)])

    assert pixels(original)[0] == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_16_bit_grey_tiff_is_scaled(order: str) -> None:
    mode = "I;16" if order == "<" else "I;16B"
    picture = Image.frombytes(mode, (5, 1), struct.pack(f"{order}5H", *LEVELS))

    assert pixels(encode_image(picture, "tiff")) == [(level,) * 3 for level in SCALED]


def test_a_16_bit_tiff_in_which_zero_is_white_is_inverted() -> None:
    picture = Image.frombytes("I;16", (5, 1), struct.pack("<5H", *LEVELS))

    assert pixels(encode_image(picture, "tiff", tiffinfo={262: 0})) == [(255 - level,) * 3 for level in SCALED]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.0, 0.5, 1.0), (0, 128, 255)),
        ((0.0, 128.0, 255.0), (0, 128, 255)),
        ((0.0, 32_768.0, 65_535.0), (0, 128, 255)),
        ((-1.0, 0.0, 1.0), (0, 128, 255)),
        ((0.0, 5e8, 1e9), (0, 128, 255)),
        ((0.25, 0.25, 0.25), (64, 64, 64)),
        ((-7.0, -7.0, -7.0), (0, 0, 0)),
        ((0.0, 0.5, float("inf")), (0, 128, 255)),
    ],
)
def test_a_float_tiff_is_scaled(values: tuple[float, ...], expected: tuple[int, ...]) -> None:
    picture = Image.frombytes("F", (3, 1), struct.pack("<3f", *values))

    assert [pixel[0] for pixel in pixels(encode_image(picture, "tiff"))] == pytest.approx(expected, abs=1)


def test_a_float_tiff_of_only_nan_is_decoded() -> None:
    picture = Image.frombytes("F", (2, 1), struct.pack("<2f", *[float("nan")] * 2))

    assert len(pixels(encode_image(picture, "tiff"))) == 2


def test_a_32_bit_tiff_is_scaled() -> None:
    picture = Image.frombytes("I", (3, 1), struct.pack("<3i", 0, 2**30, 2**31 - 1))

    assert [pixel[0] for pixel in pixels(encode_image(picture, "tiff"))] == pytest.approx((0, 128, 255), abs=1)


@pytest.mark.parametrize("name", ["png", "tiff", "bmp"])
def test_one_bit_is_black_and_white(name: str) -> None:
    picture = Image.new("1", (9, 1))
    picture.putpixel((4, 0), 1)

    assert [pixel[0] for pixel in pixels(encode_image(picture, name))] == [0, 0, 0, 0, 255, 0, 0, 0, 0]


def test_grey_with_alpha_keeps_both() -> None:
    assert pixels(encode_image(Image.new("LA", (1, 1), (90, 40)), "png")) == [(90, 90, 90, 40)]


@pytest.mark.parametrize(
    ("depth", "colour", "row", "key", "opaque"),
    [
        (1, 0, b"\x40", pack_samples(1), [255, 0]),
        (2, 0, b"\x10", pack_samples(1), [255, 0]),
        (4, 0, b"\x03", pack_samples(3), [255, 0]),
        (8, 0, b"\x00\x37", pack_samples(0x37), [255, 0]),
        (16, 0, pack_samples(300, 301), pack_samples(301), [255, 0]),
        (8, 2, b"\x01\x02\x03\x04\x05\x06", pack_samples(4, 5, 6), [255, 0]),
        (
            16,
            2,
            pack_samples(0x0101, 0x0202, 0x0303, 0x1404, 0x1505, 0x1606),
            pack_samples(0x1404, 0x1505, 0x1606),
            [255, 0],
        ),
        (8, 3, b"\x00\x01", b"\xff\x00", [255, 0]),
        (8, 3, b"\x00\x01", b"\x80\x40", [128, 64]),
    ],
)
def test_the_transparent_colour_of_a_png_becomes_alpha(
    depth: int, colour: int, row: bytes, key: bytes, opaque: list[int]
) -> None:
    palette = chunk(b"PLTE", bytes((10, 20, 30, 40, 50, 60))) if colour == 3 else b""

    master = master_of(png(2, 1, depth=depth, colour=colour, rows=[row], before=palette + chunk(b"tRNS", key)))

    assert master.mode == "RGBA"
    assert list(master.image().getchannel("A").get_flattened_data()) == opaque


def test_a_transparent_gif_keeps_its_transparent_pixels() -> None:
    picture = Image.new("P", (4, 1))
    picture.putpalette([250, 0, 0, 0, 0, 250])
    picture.putpixel((1, 0), 1)

    assert pixels(encode_image(picture, "gif", transparency=1))[:3:2] == [(250, 0, 0, 255), (250, 0, 0, 255)]
    assert pixels(encode_image(picture, "gif", transparency=1))[1][3] == 0


def test_a_palette_becomes_colours() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([1, 2, 3, 4, 5, 6])
    picture.putpixel((1, 0), 1)

    for name in ("png", "gif", "bmp", "tiff"):
        assert pixels(encode_image(picture, name)) == [(1, 2, 3), (4, 5, 6)]

"""A placeholder looks like its image: its hashes are those of the reference encoders, whatever the shape."""

from __future__ import annotations

from base64 import b64decode

import pytest
from blurhash_rs import blurhash_decode
from PIL import Image, ImageChops, ImageColor, ImageStat

from stages.normalize import Master
from stages.placeholder import Placeholder, build_placeholder
from stages.rendition import WHITE, flatten
from stages.thumbhash import encode_thumbhash
from tests.support.images import cutout, photo

THUMBHASHES = {  # rgbaToThumbHash of npm's thumbhash 0.1.1, of what `draw_waves` draws
    ("RGB", 24, 18): "58e7091d8c3097656077877288589986409a18f4d9",
    ("RGB", 18, 24): "18c7091d0e504a61772787488896787860aa08d5d9",
    ("RGB", 20, 20): "57c709170c4069966087887288589978787707a28a319f0d",
    ("RGB", 29, 6): "92570a218c40866981886789869f4ef175",
    ("RGBA", 24, 18): "55e7850c88293086417571590ac4a8309fcf89f86988969708",
    ("RGBA", 19, 32): "17c785130619405136354730990be3e78a88bf887ea746",
}
SHAPES = [(1, 1), (2, 1), (1, 160), (160, 1), (3, 7), (31, 33), (129, 2), (16384, 1), (1, 16384), (700, 40)]


def draw_waves(mode: str, width: int, height: int) -> Image.Image:
    """Draw what no version of Pillow draws otherwise, without a symmetry: there, rounding errors decide."""
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            levels = (x * x, y * y + x * y, 3 * x * y + 5 * y, 255 - (4 * x + y * y // 2 + x * y // 5) % 256)
            pixels += bytes(level % 256 for level in levels[: len(mode)])
    return Image.frombytes(mode, (width, height), bytes(pixels))


def placeholder_of(image: Image.Image, background: str = WHITE) -> Placeholder:
    return build_placeholder(Master(image.mode, *image.size, image.tobytes()), background=background)


def difference(one: Image.Image, other: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


@pytest.mark.parametrize(("layout", "expected"), THUMBHASHES.items(), ids=str)
def test_a_thumbhash_is_that_of_the_reference(layout: tuple[str, int, int], expected: str) -> None:
    assert encode_thumbhash(draw_waves(*layout)).hex() == expected


@pytest.mark.parametrize("size", [(160, 120), (120, 160), (1600, 1200)], ids=str)
def test_a_blurhash_and_a_color_are_those_of_the_image(size: tuple[int, int]) -> None:
    image = photo(*size)

    placeholder = placeholder_of(image)

    flat = flatten(image, WHITE).resize((32, 24), Image.Resampling.BOX)
    assert difference(blurhash_decode(placeholder.blurhash, 32, 24), flat) < 15
    assert ImageColor.getrgb(placeholder.color) == pytest.approx(ImageStat.Stat(flat).mean, abs=2)


@pytest.mark.parametrize("size", SHAPES, ids=str)
@pytest.mark.parametrize("fill", [(200, 40, 90), (200, 40, 90, 255), (200, 40, 90, 90), (200, 40, 90, 0)], ids=str)
def test_an_image_of_any_shape_has_a_placeholder_of_its_color(size: tuple[int, int], fill: tuple[int, ...]) -> None:
    image = Image.new("RGB" if len(fill) == 3 else "RGBA", size, fill)

    placeholder = placeholder_of(image, "#00ff00")

    color = ImageColor.getrgb(placeholder.color)
    assert color == pytest.approx(flatten(image, "#00ff00").getpixel((0, 0)), abs=2)
    assert difference(blurhash_decode(placeholder.blurhash, 8, 8), Image.new("RGB", (8, 8), color)) < 12
    assert len(placeholder.blurhash) == 28
    assert 16 <= len(b64decode(placeholder.thumbhash)) <= 25


def test_a_strip_is_dark_where_it_is_dark() -> None:
    strip = Image.linear_gradient("L").rotate(90).resize((160, 1)).convert("RGB")

    blur = blurhash_decode(placeholder_of(strip).blurhash, 8, 2).convert("L")

    assert [blur.getpixel((x, 1)) for x in (0, 7)] == pytest.approx([0, 255], abs=40)


def test_hidden_colors_of_transparent_pixels_change_nothing() -> None:
    image, painted = cutout(20, 16), cutout(20, 16).copy()
    painted.paste((9, 200, 30, 0), mask=image.getchannel("A").point(lambda alpha: 255 * (alpha == 0)))

    assert painted.tobytes() != image.tobytes()
    assert placeholder_of(painted) == placeholder_of(image)

"""Grayscale keeps luminance, alpha and size."""

from __future__ import annotations

import pytest
from PIL import Image

from stages.errors import InvalidOperation
from stages.grayscale import grayscale
from stages.limits import Limits
from tests.support.images import CELL, cutout, decode_image, encode_image, encode_oriented_grid, exif, photo

LIMITS = Limits()


@pytest.mark.parametrize(
    ("colour", "grey"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((90, 90, 90), 90)]
)
def test_grey_is_weighted_by_luminance(colour: tuple[int, int, int], grey: int) -> None:
    rendition = grayscale(encode_image(Image.new("RGB", (8, 8), colour)), limits=LIMITS)

    found = decode_image(rendition.content)
    assert (rendition.format, found.mode) == ("jpeg", "L")
    assert found.getpixel((4, 4)) == pytest.approx(grey, abs=1)


def test_alpha_is_kept() -> None:
    rendition = grayscale(encode_image(cutout()), limits=LIMITS)

    found = decode_image(rendition.content)
    assert rendition.format == "webp"
    assert found.getpixel((0, 0))[3] == 0  # type: ignore[index]
    red, green, blue, alpha = found.getpixel((48, 32))  # type: ignore[misc]
    assert (red, green, blue) == pytest.approx((89,) * 3, abs=3)
    assert alpha == 255


def test_the_background_is_grey_too() -> None:
    found = decode_image(grayscale(encode_image(cutout()), limits=LIMITS, format="jpeg", background="#ff0000").content)

    assert found.mode == "L"
    assert found.getpixel((0, 0)) == pytest.approx(76, abs=3)


@pytest.mark.parametrize("name", ["png", "webp", "avif", "jpeg"])
def test_every_output_format_holds_grey(name: str) -> None:
    for picture in (photo(), cutout()):
        assert decode_image(grayscale(encode_image(picture), limits=LIMITS, format=name).content).size == picture.size


def test_grayscale_turns_the_image_upright_and_drops_its_metadata() -> None:
    rendition = grayscale(encode_oriented_grid("jpeg", 6), limits=LIMITS)

    assert (rendition.width, rendition.height) == (3 * CELL, 2 * CELL)
    assert b"Exif" in exif(6)
    assert b"Exif" not in rendition.content


def test_an_impossible_output_is_refused() -> None:
    with pytest.raises(InvalidOperation):
        grayscale(encode_image(photo()), limits=LIMITS, format="tiff")

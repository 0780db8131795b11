"""Crop cuts the displayed image, and reports everything that is wrong with a box at once."""

from __future__ import annotations

from typing import Any

import pytest

from stages.crop import crop
from stages.errors import ImageTruncated, InvalidOperation
from stages.limits import Limits
from tests.support.images import (
    CELL,
    GRID,
    cutout,
    decode_image,
    draw_colour_grid,
    encode_image,
    encode_oriented_grid,
    exif,
    photo,
    rgb_profile,
)

LIMITS = Limits()
CELLS = encode_image(draw_colour_grid())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["jpeg", "png", "tiff"])
def test_crop_cuts_the_image_as_displayed(name: str, orientation: int) -> None:
    original = encode_oriented_grid(name, orientation)

    rendition = crop(original, left=CELL, top=CELL, width=CELL, height=CELL, limits=LIMITS, format="png")

    assert (rendition.width, rendition.height) == (CELL, CELL)
    assert decode_image(rendition.content).getpixel((CELL // 2, CELL // 2)) == pytest.approx(GRID[1][1], abs=6)


def test_crop_keeps_the_pixels_as_they_are() -> None:
    rendition = crop(encode_image(photo()), left=10, top=20, width=30, height=40, limits=LIMITS, format="png")

    assert decode_image(rendition.content).tobytes() == photo().crop((10, 20, 40, 60)).tobytes()


def test_crop_works_on_the_full_size_of_a_jpeg() -> None:
    original = encode_image(photo(1200, 900), "jpeg")

    assert crop(original, left=0, top=0, width=1200, height=900, limits=LIMITS).width == 1200
    assert crop(original, left=1199, top=899, width=1, height=1, limits=LIMITS).height == 1


@pytest.mark.parametrize(
    ("aspect", "expected"),
    [
        ((1, 1), (2 * CELL, 2 * CELL)),
        ((3, 2), (3 * CELL, 2 * CELL)),
        ((3, 1), (3 * CELL, CELL)),
        ((1, 1000), (1, 2 * CELL)),
        ((1000, 1), (3 * CELL, 1)),
    ],
)
def test_crop_by_aspect_takes_the_largest_centred_box(aspect: tuple[int, int], expected: tuple[int, int]) -> None:
    rendition = crop(CELLS, aspect=aspect, limits=LIMITS, format="png")

    assert (rendition.width, rendition.height) == expected
    left, top = (3 * CELL - expected[0]) // 2, (2 * CELL - expected[1]) // 2
    box = (left, top, left + expected[0], top + expected[1])
    assert decode_image(rendition.content).tobytes() == draw_colour_grid().crop(box).tobytes()


@pytest.mark.parametrize(
    ("asked", "broken"),
    [
        ({"left": -1, "top": 0, "width": 5, "height": 5}, {"/left": ("minimum", 0, -1)}),
        ({"left": 48, "top": 32, "width": 5, "height": 5}, {"/left": ("maximum", 47, 48), "/top": ("maximum", 31, 32)}),
        (
            {"left": 40, "top": 0, "width": 9, "height": 33},
            {"/width": ("maximum", 8, 9), "/height": ("maximum", 32, 33)},
        ),
        ({"left": 0, "top": 0, "width": 0, "height": -4}, {"/width": ("minimum", 1, 0), "/height": ("minimum", 1, -4)}),
        ({"left": 0, "width": 5}, {"/top": ("required", None, None), "/height": ("required", None, None)}),
        ({"aspect": (1, 1), "left": 3}, {"/left": ("exclusive", None, None)}),
        ({"aspect": (0, 1)}, {"/aspect": ("minimum", 1, 0)}),
        ({"aspect": (1, 1), "quality": 101}, {"/quality": ("range", 100, 101)}),
        ({"aspect": (1, 1), "quality": 0}, {"/quality": ("range", 100, 0)}),
        ({"aspect": (1, 1), "format": "tga"}, {"/format": ("choice", None, "tga")}),
        ({"aspect": (1, 1), "background": "mauve-ish"}, {"/background": ("colour", None, "mauve-ish")}),
    ],
)
def test_crop_names_every_broken_rule(asked: dict[str, Any], broken: dict[str, tuple[object, ...]]) -> None:
    with pytest.raises(InvalidOperation) as refused:
        crop(CELLS, **asked, limits=LIMITS)

    assert {rule.pointer: (rule.rule, rule.limit, rule.actual) for rule in refused.value.errors} == broken
    assert all(rule.message in refused.value.message for rule in refused.value.errors)


def test_crop_needs_a_box() -> None:
    with pytest.raises(InvalidOperation) as refused:
        crop(CELLS, limits=LIMITS)

    assert {rule.rule for rule in refused.value.errors} == {"required"}


def test_crop_refuses_a_broken_image_by_its_own_code() -> None:
    with pytest.raises(ImageTruncated):
        crop(encode_image(photo(), "jpeg")[:-300], aspect=(1, 1), limits=LIMITS)


def test_crop_lays_alpha_on_the_background_of_a_jpeg() -> None:
    rendition = crop(encode_image(cutout()), aspect=(1, 1), limits=LIMITS, format="jpeg", background="#0000ff")

    assert decode_image(rendition.content).getpixel((0, 0)) == pytest.approx((0, 0, 255), abs=20)


def test_crop_drops_all_metadata() -> None:
    original = encode_image(photo(), "jpeg", exif=exif(1), icc_profile=rgb_profile("p3"), comment=b"hush")

    content = crop(original, aspect=(1, 1), limits=LIMITS).content

    assert not any(word in content for word in (b"Exif", b"ICC_PROFILE", b"hush"))


def test_a_webp_too_long_for_its_format_is_refused_and_auto_avoids_it() -> None:
    strip = encode_image(cutout(16_384, 8))

    with pytest.raises(InvalidOperation):
        crop(strip, left=0, top=0, width=16_384, height=8, limits=LIMITS, format="webp")
    assert crop(strip, left=0, top=0, width=16_384, height=8, limits=LIMITS).format == "png"

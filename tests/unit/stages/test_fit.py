"""Fit brings an image to a box in each of four ways, and never exceeds the limits."""

from __future__ import annotations

from typing import Any

import pytest

from stages.background import parse_background
from stages.errors import InvalidOperation
from stages.fit import fit
from stages.limits import Limits
from tests.support.images import CELL, GRID, cutout, decode_image, encode_image, encode_oriented_grid, photo

LIMITS = Limits()
WIDE = encode_image(photo(120, 60))


def size_of(original: bytes, **asked: Any) -> tuple[int, int]:
    rendition = fit(original, limits=LIMITS, format="png", **asked)
    assert decode_image(rendition.content).size == (rendition.width, rendition.height)
    return rendition.width, rendition.height


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"fit": "inside", "width": 60, "height": 60}, (60, 30)),
        ({"fit": "inside", "width": 60}, (60, 30)),
        ({"fit": "inside", "height": 20}, (40, 20)),
        ({"fit": "inside", "width": 500, "height": 500}, (120, 60)),
        ({"fit": "inside", "width": 240, "height": 500, "enlarge": True}, (240, 120)),
        ({"fit": "contain", "width": 60, "height": 60}, (60, 60)),
        ({"fit": "contain", "width": 500, "height": 300}, (500, 300)),
        ({"fit": "contain", "width": 60}, (60, 30)),
        ({"fit": "contain", "width": 240, "enlarge": True}, (240, 120)),
        ({"fit": "cover", "width": 30, "height": 30}, (30, 30)),
        ({"fit": "cover", "width": 240, "height": 240}, (60, 60)),
        ({"fit": "cover", "width": 240, "height": 240, "enlarge": True}, (240, 240)),
        ({"fit": "cover", "width": 60}, (60, 30)),
        ({"fit": "fill", "width": 30, "height": 50}, (30, 50)),
        ({"fit": "fill", "width": 240, "height": 60}, (120, 30)),
        ({"fit": "fill", "width": 240, "height": 60, "enlarge": True}, (240, 60)),
        ({"fit": "fill", "height": 30}, (60, 30)),
        ({"fit": "fill", "width": 1, "height": 1}, (1, 1)),
        ({"fit": "cover", "width": 1, "height": 1}, (1, 1)),
    ],
)
def test_each_fit_gives_its_size(asked: dict[str, Any], expected: tuple[int, int]) -> None:
    assert size_of(WIDE, **asked) == expected


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (400, 20)])
@pytest.mark.parametrize("way", ["inside", "contain", "cover", "fill"])
@pytest.mark.parametrize("enlarge", [False, True])
def test_every_side_of_a_result_has_a_pixel(size: tuple[int, int], way: str, enlarge: bool) -> None:
    original = encode_image(photo(*size))

    assert min(size_of(original, fit=way, width=10, height=10, enlarge=enlarge)) >= 1
    assert min(size_of(original, fit=way, width=10, enlarge=enlarge)) >= 1 if size[1] < 2000 else True


def test_contain_pads_evenly_with_the_background() -> None:
    found = decode_image(fit(WIDE, width=60, height=60, background="#00ff00", limits=LIMITS, format="png").content)

    assert found.mode == "RGB"
    for y, is_bar in ((0, True), (14, True), (15, False), (44, False), (45, True), (59, True)):
        assert (found.getpixel((30, y)) == (0, 255, 0)) is is_bar


def test_contain_keeps_alpha_and_pads_transparently_if_the_format_has_alpha() -> None:
    original = encode_image(cutout())

    clear = decode_image(fit(original, width=60, height=60, background="#00ff00", limits=LIMITS).content)
    flat = decode_image(fit(original, width=60, height=60, background="#00ff00", limits=LIMITS, format="jpeg").content)

    assert clear.mode == "RGBA"
    assert clear.getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert flat.getpixel((0, 0)) == pytest.approx((0, 255, 0), abs=4)


@pytest.mark.parametrize(("name", "format_"), [("auto", "webp"), ("png", "png"), ("jpeg", "jpeg")])
def test_contain_pads_transparently_if_it_is_asked_to_and_the_format_has_alpha(name: str, format_: str) -> None:
    asked = parse_background("transparent")

    padded = fit(WIDE, width=60, height=60, background=asked, limits=LIMITS, format=name)

    image = decode_image(padded.content).convert("RGBA")
    assert padded.format == format_
    assert image.getpixel((30, 5)) == pytest.approx((255, 255, 255, 255 if name == "jpeg" else 0), abs=2)
    assert image.getpixel((30, 30))[3] == 255  # type: ignore[index]


@pytest.mark.parametrize("enlarge", [False, True])
def test_cover_cuts_off_evenly(enlarge: bool) -> None:
    side = 3 * CELL if enlarge else CELL
    original = encode_oriented_grid("png", 6)

    found = decode_image(
        fit(original, width=side, height=2 * side, fit="cover", enlarge=enlarge, limits=LIMITS, format="png").content
    )

    assert found.size == (side, 2 * side)
    assert found.getpixel((side // 2, side // 2)) == pytest.approx(GRID[0][1], abs=6)
    assert found.getpixel((side // 2, side + side // 2)) == pytest.approx(GRID[1][1], abs=6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_fill_stretches_the_image_as_displayed(orientation: int) -> None:
    found = decode_image(
        fit(
            encode_oriented_grid("jpeg", orientation), width=24, height=32, fit="fill", limits=LIMITS, format="png"
        ).content
    )

    assert found.size == (24, 32)
    assert found.getpixel((4, 8)) == pytest.approx(GRID[0][0], abs=30)
    assert found.getpixel((20, 24)) == pytest.approx(GRID[1][2], abs=30)


@pytest.mark.parametrize(
    ("asked", "broken"),
    [
        ({}, {"/width": ("required", None, None)}),
        ({"width": 0, "height": -2}, {"/width": ("minimum", 1, 0), "/height": ("minimum", 1, -2)}),
        ({"width": 5, "fit": "squash"}, {"/fit": ("choice", None, "squash")}),
        ({"width": 16_385, "height": 5}, {"/width": ("maximum", 16_384, 16_385)}),
        (
            {"width": 16_000, "height": 16_000},
            {"/pixels": ("maximum", 50_000_000, 256_000_000)},
        ),
        (
            {"width": 20_000, "enlarge": True},
            {"/width": ("maximum", 16_384, 20_000), "/pixels": ("maximum", 50_000_000, 200_000_000)},
        ),
        ({"width": 5, "quality": 400}, {"/quality": ("range", 100, 400)}),
    ],
)
def test_fit_names_every_broken_rule(asked: dict[str, Any], broken: dict[str, tuple[object, ...]]) -> None:
    with pytest.raises(InvalidOperation) as refused:
        fit(WIDE, **asked, limits=LIMITS)

    assert {rule.pointer: (rule.rule, rule.limit, rule.actual) for rule in refused.value.errors} == broken


def test_a_strip_that_covers_a_square_stays_within_the_limits() -> None:
    strip = encode_image(photo(16_384, 1))

    assert size_of(strip, fit="cover", width=600, height=600, enlarge=True) == (600, 600)

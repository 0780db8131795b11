"""A watermark lies where it is said, as large and as opaque as it is said, and never over an edge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from stages.limits import Limits
from stages.steps.step import StepContext
from stages.steps.watermark import AssetUnusable, Watermark
from tests.support.images import CELL, GRID, cutout, encode_image, encode_oriented_grid
from tests.support.properties import EXAMPLES
from tests.support.step_images import difference

RED = (255, 0, 0)
ASSETS = {
    "red.png": encode_image(Image.new("RGB", (40, 20), RED)),
    "tall.png": encode_image(Image.new("RGB", (2, 400), RED)),
    "turned.jpg": encode_oriented_grid("jpeg", 6),
    "disc.png": encode_image(cutout()),
    "broken.png": encode_image(Image.new("RGB", (40, 20), RED))[:50],
}
CONTEXT = StepContext(assets=ASSETS)
BLACK = Image.new("RGB", (200, 100))


def box_of(image: Image.Image, before: Image.Image) -> tuple[int, int, int, int] | None:
    return ImageChops.difference(image, before).getbbox()


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        ("north-west", (5, 5, 45, 25)),
        ("north", (80, 5, 120, 25)),
        ("north-east", (155, 5, 195, 25)),
        ("west", (5, 40, 45, 60)),
        ("centre", (80, 40, 120, 60)),
        ("east", (155, 40, 195, 60)),
        ("south-west", (5, 75, 45, 95)),
        ("south", (80, 75, 120, 95)),
        ("south-east", (155, 75, 195, 95)),
    ],
)
def test_a_watermark_lies_at_its_anchor(anchor: str, expected: tuple[int, int, int, int]) -> None:
    step = Watermark(image="red.png", anchor=anchor, size=0.2, margin=0.05)  # type: ignore[arg-type]

    assert box_of(step.apply(BLACK, CONTEXT), BLACK) == expected


@EXAMPLES
@given(
    name=st.sampled_from(("red.png", "tall.png")),
    size=st.floats(0.01, 1),
    margin=st.floats(0, 0.4),
    anchor=st.sampled_from(("centre", "north-west", "south-east")),
)
def test_a_watermark_keeps_its_margin_on_all_sides(name: str, size: float, margin: float, anchor: str) -> None:
    step = Watermark(image=name, anchor=anchor, size=size, margin=margin)  # type: ignore[arg-type]
    edge = round(margin * 100)

    left, top, right, bottom = box_of(step.apply(BLACK, CONTEXT), BLACK) or (0, 0, 0, 0)

    assert right > left >= edge
    assert bottom > top >= edge
    assert right <= 200 - edge
    assert bottom <= 100 - edge
    assert right - left <= max(1, round(200 * size))


def test_an_opacity_of_one_half_is_half_way() -> None:
    step = Watermark(image="red.png", size=1, opacity=0.5)

    assert step.apply(BLACK, CONTEXT).getpixel((100, 50)) == pytest.approx((128, 0, 0), abs=1)


def test_a_watermark_keeps_its_own_alpha() -> None:
    white = Image.new("RGB", (96, 64), "#ffffff")

    marked = Watermark(image="disc.png", size=1, margin=0).apply(white, CONTEXT)

    assert marked.getpixel((0, 0)) == (255, 255, 255)
    assert marked.getpixel((48, 32)) == (250, 20, 20)


def test_a_scaled_watermark_has_no_dark_edge() -> None:
    red = Image.new("RGB", (96, 64), (250, 20, 20))

    marked = Watermark(image="disc.png", size=0.5).apply(red, CONTEXT)

    assert difference(marked, red)[1] <= 6


def test_a_watermark_on_transparent_pixels_is_as_opaque_as_itself() -> None:
    clear = Image.new("RGBA", (200, 100), "#00ff0000")

    marked = Watermark(image="red.png", anchor="centre", opacity=0.5).apply(clear, CONTEXT)

    assert marked.getpixel((100, 50)) == pytest.approx((255, 0, 0, 128), abs=1)
    assert marked.getpixel((0, 0))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize(("mode", "expected"), [("L", "RGB"), ("LA", "RGBA")])
def test_a_watermark_keeps_its_colour_on_a_grey_image(mode: str, expected: str) -> None:
    marked = Watermark(image="red.png", anchor="centre").apply(Image.new(mode, (200, 100)), CONTEXT)

    assert marked.mode == expected
    assert marked.getpixel((100, 50))[:3] == RED  # type: ignore[index]


def test_a_watermark_is_turned_upright() -> None:
    marked = Watermark(image="turned.jpg", anchor="north-west", size=1, margin=0).apply(
        Image.new("RGB", (3 * CELL, 2 * CELL)), CONTEXT
    )

    assert marked.getpixel((CELL // 2, CELL // 2)) == pytest.approx(GRID[0][0], abs=30)


def test_the_density_does_not_change_its_share() -> None:
    step = Watermark(image="red.png")

    assert step.apply(BLACK, StepContext(assets=ASSETS, dpr=2)).tobytes() == step.apply(BLACK, CONTEXT).tobytes()


@pytest.mark.parametrize("name", ["missing.png", "broken.png"])
def test_an_unusable_asset_is_no_fault_of_the_image(name: str) -> None:
    with pytest.raises(AssetUnusable, match=name):
        Watermark(image=name).apply(BLACK, CONTEXT)


def test_an_asset_over_the_limits_is_unusable() -> None:
    with pytest.raises(AssetUnusable, match="pixels wide"):
        Watermark(image="red.png").apply(BLACK, StepContext(assets=ASSETS, limits=Limits(side=30)))

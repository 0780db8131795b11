"""The steps crop and resize: as they are written, and what they make of an image that is decoded."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from pipeline.presets.steps import read_step
from stages.errors import InvalidOperation
from stages.limits import Limits
from stages.steps.step import StepContext
from tests.support.images import CELL, GRID, decode_image, encode_oriented_grid, photo

MODES = ("L", "LA", "RGB", "RGBA")


def apply(image: Image.Image, written: object, **context: Any) -> Image.Image:
    return read_step(written).apply(image, StepContext(**context))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("written", "size"),
    [
        ({"resize": 30}, (30, 20)),
        ({"resize": {"width": 30, "height": 30, "fit": "cover", "focus": "0,0"}}, (30, 30)),
        ({"resize": {"width": 30, "height": 30, "fit": "fill"}}, (30, 30)),
        ({"resize": {"width": 30, "height": 30, "fit": "contain"}}, (30, 30)),
        ({"resize": {"width": 192, "enlarge": True}}, (192, 128)),
        ({"crop": [1, 1]}, (64, 64)),
        ({"crop": {"aspect": [3, 1], "focus": "0.5,0"}}, (96, 32)),
        ({"crop": {"left": 1, "top": 2, "width": 95, "height": 3}}, (95, 3)),
    ],
)
def test_a_step_makes_its_size_in_every_mode(mode: str, written: object, size: tuple[int, int]) -> None:
    image = photo().convert(mode)

    result = apply(image, written)

    assert (result.size, result.mode) == (size, mode)
    assert image.tobytes() == photo().convert(mode).tobytes()


@pytest.mark.parametrize(
    ("mode", "background", "expected", "corner"),
    [
        ("L", "#808080", "L", 128),
        ("L", "#ff0000", "RGB", (255, 0, 0)),
        ("L", "#ffffff00", "LA", (255, 0)),
        ("LA", "#ff0000", "LA", (255, 0)),
        ("RGB", "#ffffff00", "RGBA", (255, 255, 255, 0)),
    ],
)
def test_padding_has_the_background(mode: str, background: str, expected: str, corner: object) -> None:
    result = apply(
        photo().convert(mode), {"resize": {"width": 96, "height": 96, "fit": "contain"}}, background=background
    )

    assert (result.mode, result.size) == (expected, (96, 96))
    if mode != "LA":
        assert result.getpixel((0, 0)) == corner
    else:
        assert result.getpixel((0, 0))[-1] == 0  # type: ignore[index]


def test_a_crop_cuts_out_its_box() -> None:
    grid = decode_image(encode_oriented_grid("png", 1)).convert("RGB")

    cell = apply(grid, {"crop": {"left": CELL, "top": CELL, "width": CELL, "height": CELL}})

    assert cell.getpixel((CELL // 2, CELL // 2)) == pytest.approx(GRID[1][1], abs=6)


@pytest.mark.parametrize(("focus", "cell"), [("0,0.5", 0), ("centre", 1), ("1,0.5", 2)])
def test_a_crop_by_aspect_keeps_the_focus(focus: str, cell: int) -> None:
    grid = decode_image(encode_oriented_grid("png", 1)).convert("RGB")

    strip = apply(grid, {"crop": {"aspect": [1, 2], "focus": focus}})

    assert strip.size == (CELL, 2 * CELL)
    assert strip.getpixel((CELL // 2, CELL // 2)) == pytest.approx(GRID[0][cell], abs=6)


@pytest.mark.parametrize(
    "written",
    [
        "crop",
        "resize",
        {"resize": {"edge": 10, "width": 10}},
        {"resize": {"edge": 10, "fit": "cover"}},
        {"resize": {"edge": 0}},
        {"resize": {"width": 10, "focus": "nowhere"}},
        {"resize": {"width": 10, "fit": "stretch"}},
        {"crop": {"left": 1}},
        {"crop": {"aspect": [1, 0]}},
        {"crop": {"aspect": [1, 1], "left": 1}},
        {"crop": {"left": -1, "top": 0, "width": 1, "height": 1}},
        {"crop": {"left": 0, "top": 0, "width": 1, "height": 1, "focus": "0,0"}},
    ],
)
def test_what_says_no_size_or_no_box_is_refused_as_it_is_read(written: object) -> None:
    with pytest.raises(ValidationError):
        read_step(written)


def test_a_crop_outside_the_image_is_refused_with_every_rule() -> None:
    with pytest.raises(InvalidOperation) as refusal:
        apply(photo(), {"crop": {"left": 96, "top": 10, "width": 1, "height": 55}})

    assert [rule.pointer for rule in refusal.value.errors] == ["/left", "/height"]


def test_a_resize_over_the_limits_is_refused() -> None:
    with pytest.raises(InvalidOperation, match="at most 1,000 are allowed"):
        apply(photo(), {"resize": {"width": 50, "height": 50, "fit": "fill"}}, limits=Limits(pixels=1000))


@pytest.mark.parametrize("dpr", [1, 1.3, 1.4987, 2, 3])
def test_a_crop_to_the_end_of_the_image_ends_there_at_every_density(dpr: float) -> None:
    image = photo(round(400 * dpr), round(100 * dpr))

    result = apply(image, {"crop": {"left": 100, "top": 33, "width": 300, "height": 67}}, dpr=dpr)

    assert result.size == (image.width - round(100 * dpr), image.height - round(33 * dpr))

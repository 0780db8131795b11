"""Rotate, flip, pad and round put each pixel where it belongs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stages.errors import InvalidOperation
from stages.limits import Limits
from stages.steps.flip import Flip
from stages.steps.pad import Pad
from stages.steps.rotate import Rotate
from stages.steps.round import Round
from stages.steps.step import StepContext
from tests.support.images import GRID, cutout, draw_colour_grid, photo
from tests.support.properties import EXAMPLES
from tests.support.step_images import difference

CONTEXT = StepContext()
CLEAR = StepContext(background="#ffffff00")
SMALL = StepContext(limits=Limits(side=100, pixels=7000))
QUARTERS = st.sampled_from((-270, -180, -90, 90, 180, 270))
# The colours at the four corners after a turn: upper left, upper right, lower right, lower left.
CORNERS = (GRID[0][0], GRID[0][2], GRID[1][2], GRID[1][0])


def corners_of(image: Image.Image) -> tuple[object, ...]:
    right, bottom = image.width - 1, image.height - 1
    return tuple(image.getpixel(place) for place in ((0, 0), (right, 0), (right, bottom), (0, bottom)))


@EXAMPLES
@given(width=st.integers(1, 9), height=st.integers(1, 9), degrees=QUARTERS)
def test_four_quarter_turns_keep_every_pixel(width: int, height: int, degrees: int) -> None:
    image = result = photo(width, height)

    for _ in range(4):
        result = Rotate(degrees=degrees).apply(result, CONTEXT)

    assert result.tobytes() == image.tobytes()


@pytest.mark.parametrize(("degrees", "moved"), [(90, 1), (180, 2), (270, 3), (-90, 3), (360, 0), (0, 0)])
def test_quarter_turns_are_clockwise(degrees: float, moved: int) -> None:
    turned = Rotate(degrees=degrees).apply(draw_colour_grid(), CONTEXT)

    assert corners_of(turned) == CORNERS[-moved:] + CORNERS[:-moved] if moved else CORNERS
    assert turned.size == ((48, 32) if moved % 2 == 0 else (32, 48))


@pytest.mark.parametrize("degrees", [89.999, 90.001, 179.999, 359.999])
def test_other_angles_turn_the_same_way(degrees: float) -> None:
    exact = Rotate(degrees=round(degrees)).apply(photo(), CONTEXT)

    turned = Rotate(degrees=degrees).apply(photo(), CONTEXT)

    left, top = (turned.width - exact.width) // 2, (turned.height - exact.height) // 2
    box = (left, top, left + exact.width, top + exact.height)
    assert max(left, top) <= 1
    assert difference(turned.crop(box).crop((2, 2, 60, 60)), exact.crop((2, 2, 60, 60)))[0] < 8


def test_the_canvas_grows_to_hold_the_turned_image() -> None:
    turned = Rotate(degrees=45).apply(Image.new("RGB", (100, 100)), CLEAR)

    assert turned.size == (142, 142)
    alpha = turned.getchannel("A")
    area = sum(level * count for level, count in enumerate(alpha.histogram())) / 255
    assert area == pytest.approx(100 * 100, rel=0.005)


def test_turned_corners_are_background_or_transparent() -> None:
    turn = Rotate(degrees=30)
    red = StepContext(background="#ff0000")

    assert set(corners_of(turn.apply(photo(), red))) == {(255, 0, 0)}
    assert set(corners_of(turn.apply(photo().convert("L"), red))) == {(255, 0, 0)}
    assert set(corners_of(turn.apply(photo().convert("L"), CONTEXT))) == {255}
    assert {pixel[3] for pixel in corners_of(turn.apply(photo(), CLEAR))} == {0}  # type: ignore[index]
    assert {pixel[3] for pixel in corners_of(turn.apply(cutout(), red))} == {0}  # type: ignore[index]


def test_a_turn_has_smooth_edges() -> None:
    turned = Rotate(degrees=10).apply(Image.new("L", (60, 60), 0), CONTEXT)

    levels = turned.crop((20, 0, 50, 30)).histogram()
    assert sum(levels[20:235]) > 15


def test_a_turn_over_the_limits_is_refused() -> None:
    assert Rotate(degrees=90).apply(photo(90, 70), SMALL).size == (70, 90)

    with pytest.raises(InvalidOperation) as refused:
        Rotate(degrees=30).apply(photo(90, 70), SMALL)

    assert {rule.pointer: (rule.limit, rule.actual) for rule in refused.value.errors} == {
        "/width": (100, 113),
        "/height": (100, 106),
        "/pixels": (7000, 113 * 106),
    }


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "both"])
def test_a_flip_twice_is_the_image(direction: str) -> None:
    flip = Flip(direction=direction)  # type: ignore[arg-type]

    once = flip.apply(photo(), CONTEXT)

    assert once.tobytes() != photo().tobytes()
    assert flip.apply(once, CONTEXT).tobytes() == photo().tobytes()


def test_a_flip_swaps_the_sides_that_it_names() -> None:
    upper_left, upper_right, lower_right, lower_left = CORNERS
    grid = draw_colour_grid()

    assert corners_of(Flip().apply(grid, CONTEXT)) == (upper_right, upper_left, lower_left, lower_right)
    assert corners_of(Flip(direction="vertical").apply(grid, CONTEXT)) == (
        lower_left, lower_right, upper_right, upper_left,
    )  # fmt: skip
    assert corners_of(Flip(direction="both").apply(grid, CONTEXT)) == CORNERS[2:] + CORNERS[:2]


@EXAMPLES
@given(sides=st.tuples(*(st.integers(0, 9) for _ in range(4))), dpr=st.sampled_from((1, 2, 3)))
def test_a_pad_adds_exactly_what_it_says(sides: tuple[int, int, int, int], dpr: int) -> None:
    top, right, bottom, left = sides
    context = StepContext(dpr=dpr, background="#00ff00")

    padded = Pad(pixels=99, top=top, right=right, bottom=bottom, left=left).apply(photo(5, 4), context)

    inside = (dpr * left, dpr * top, dpr * left + 5, dpr * top + 4)
    assert padded.size == (5 + dpr * (left + right), 4 + dpr * (top + bottom))
    assert padded.crop(inside).tobytes() == photo(5, 4).tobytes()
    padded.paste((0, 255, 0), inside)
    assert padded.tobytes() == Image.new("RGB", padded.size, (0, 255, 0)).tobytes()


def test_a_pad_is_transparent_if_the_image_or_the_background_is() -> None:
    red = StepContext(background="#ff0000")
    pad = Pad(pixels=3)

    assert pad.apply(photo(), CLEAR).getpixel((0, 0)) == (255, 255, 255, 0)
    assert pad.apply(photo().convert("L"), CLEAR).getpixel((0, 0)) == (255, 0)
    assert pad.apply(cutout(), red).getpixel((0, 0)) == (255, 0, 0, 0)
    assert pad.apply(photo().convert("L"), red).getpixel((0, 0)) == (255, 0, 0)
    assert pad.apply(photo().convert("L"), CONTEXT).mode == "L"


def test_a_pad_over_the_limits_is_refused() -> None:
    with pytest.raises(InvalidOperation) as refused:
        Pad(pixels=10).apply(photo(90, 40), SMALL)

    assert [rule.pointer for rule in refused.value.errors] == ["/width"]


@pytest.mark.parametrize("size", [(40, 40), (41, 30), (30, 41)])
def test_rounding_keeps_the_middle_and_cuts_the_corners(size: tuple[int, int]) -> None:
    rounded = Round(radius=10).apply(photo(*size), CONTEXT)

    for box in ((10, 0, size[0] - 10, size[1]), (0, 10, size[0], size[1] - 10)):
        assert rounded.crop(box).tobytes() == photo(*size).convert("RGBA").crop(box).tobytes()
    assert {pixel[3] for pixel in corners_of(rounded)} == {0}  # type: ignore[index]


@EXAMPLES
@given(width=st.integers(1, 60), height=st.integers(1, 60))
def test_the_greatest_radius_makes_a_whole_ellipse(width: int, height: int) -> None:
    alpha = Round().apply(Image.new("L", (width, height)), CONTEXT).getchannel("A")

    area = sum(level * count for level, count in enumerate(alpha.histogram())) / 255
    assert area == pytest.approx(3.14159 / 4 * width * height, rel=0.01, abs=0.1)
    for direction in Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM:
        assert alpha.transpose(direction).tobytes() == alpha.tobytes()


def test_a_rounded_edge_is_smooth() -> None:
    alpha = Round().apply(Image.new("L", (200, 200)), CONTEXT).getchannel("A")

    assert sum(1 for count in alpha.histogram()[1:255] if count) > 60


def test_rounding_keeps_transparent_pixels_transparent() -> None:
    image = cutout(64, 64)

    alpha = Round(radius=20).apply(image, CONTEXT).getchannel("A")

    assert alpha.tobytes() == image.getchannel("A").tobytes()


def test_a_radius_grows_with_the_density_up_to_half_of_the_shorter_side() -> None:
    image = photo(60, 40)

    def twice(radius: float) -> bytes:
        return Round(radius=radius).apply(image, StepContext(dpr=2)).tobytes()

    assert twice(7) == Round(radius=14).apply(image, CONTEXT).tobytes()
    assert twice(7) != Round(radius=7).apply(image, CONTEXT).tobytes()
    assert twice(20) == twice(10_000)

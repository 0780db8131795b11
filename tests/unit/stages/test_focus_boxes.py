"""The box of a cropped rendition around a point, and how the point is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.crop import centred_box
from stages.focus.boxes import focus_box
from stages.focus.spelling import HAS_FACES, parse_focus, parse_point
from tests.support.properties import EXAMPLES

SIZES = st.tuples(st.integers(1, 16_384), st.integers(1, 16_384))
SHARES = st.floats(0, 1)


@EXAMPLES
@given(SIZES, SIZES)
def test_the_box_around_the_centre_is_the_centred_box(size: tuple[int, int], target: tuple[int, int]) -> None:
    assert focus_box(size, target, (0.5, 0.5)) == centred_box(size, target)


@EXAMPLES
@given(SIZES, SIZES, st.tuples(SHARES, SHARES))
def test_the_box_is_as_near_to_centred_on_the_point_as_the_image_allows(
    size: tuple[int, int], target: tuple[int, int], point: tuple[float, float]
) -> None:
    box = focus_box(size, target, point)

    centred = centred_box(size, target)
    assert (box[2] - box[0], box[3] - box[1]) == (centred[2] - centred[0], centred[3] - centred[1])
    for start, end, whole, share in zip(box[:2], box[2:], size, point, strict=True):
        assert 0 <= start < end <= whole
        excess = (start + end) / 2 - share * whole
        assert abs(excess) <= 0.5 + 1e-9 or (start == 0 and excess > 0) or (end == whole and excess < 0)


@pytest.mark.parametrize(
    ("point", "box"),
    [((0, 0.5), (0, 0, 200, 200)), ((0.3, 0.7), (80, 0, 280, 200)), ((0.9, 0), (400, 0, 600, 200))],
)
def test_a_wide_image_is_cut_left_and_right_of_the_point(
    point: tuple[float, float], box: tuple[int, int, int, int]
) -> None:
    assert focus_box((600, 200), (50, 50), point) == box


@pytest.mark.parametrize(
    ("text", "focus"),
    [
        ("centre", "centre"),
        ("Center", "centre"),
        (" auto ", "auto"),
        ("0.3,0.7", "0.3,0.7"),
        ("0.30, .7", "0.3,0.7"),
        ("0,1", "0,1"),
        ("1.0,0.0000001", "1,0"),
    ],
)
def test_a_focus_has_one_spelling(text: str, focus: str) -> None:
    assert parse_focus(text) == focus
    assert parse_focus(focus) == focus


@EXAMPLES
@given(SHARES, SHARES)
def test_a_point_means_the_same_after_it_is_parsed(x: float, y: float) -> None:
    assert parse_point(parse_focus(f"{x:.9f},{y:.9f}")) == pytest.approx((x, y), abs=6e-6)


WRONG = (
    "",
    "middle",
    "0.3",
    "0.3,0.7,0.1",
    "1.5,0.5",
    "-0.1,0.5",
    "nan,0.5",
    "30%,70%",
    "1e-1,0",
    "0.3;0.7",
    "\u0660,1",
)


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_focus_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^The focus must be centre, auto.*\.$"):
        parse_focus(text)


@pytest.mark.skipif(HAS_FACES, reason="the group faces is installed")
def test_faces_are_refused_where_the_detector_is_missing() -> None:
    with pytest.raises(ValueError, match="needs the dependency group faces"):
        parse_focus("faces")

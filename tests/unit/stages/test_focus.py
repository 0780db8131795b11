"""The focus `auto`: drawn subjects stay in the crop, and images without one are cut at the centre."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from stages.focus.boxes import focus_box
from stages.focus.find import find_focus
from stages.focus.subject import subject_maps
from tests.support.properties import EXAMPLES

Disc = tuple[float, float, float, float]  # left, top, right, bottom
MODES = ("L", "LA", "RGB", "RGBA")


def draw_noise(size: tuple[int, int], spread: int) -> Image.Image:
    """Return grey noise around 128, the same in every run."""
    noise = Image.frombytes("L", size, random.Random(1).randbytes(size[0] * size[1]))  # noqa: S311  no secret
    return noise.point([128 + round((value - 127.5) * spread / 127.5) for value in range(256)]).convert("RGB")


def draw_subject(size: tuple[int, int], place: float, *, noise: int = 0) -> tuple[Image.Image, Disc]:
    """Return an image with a red disc at `place` of its longer side, and the box around the disc."""
    image = ImageChops.add(Image.new("RGB", size, "#708090"), draw_noise(size, noise), offset=-128)
    radius = min(size) * 0.12
    middle = [whole * (place if whole == max(size) else 0.5) for whole in size]
    disc = (middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius)
    ImageDraw.Draw(image).ellipse(disc, fill="#c83c28")
    return image, disc


def keeps(image: Image.Image, disc: Disc, target: tuple[int, int]) -> bool:
    box = focus_box(image.size, target, find_focus(image, "auto", target))
    return box[0] <= disc[0] and box[1] <= disc[1] and box[2] >= disc[2] and box[3] >= disc[3]


@pytest.mark.parametrize("noise", [0, 40, 90])
@pytest.mark.parametrize("place", [0.12, 0.3, 0.88])
@pytest.mark.parametrize("size", [(640, 360), (300, 200), (200, 320), (1400, 500)])
def test_a_subject_away_from_the_centre_stays_whole(size: tuple[int, int], place: float, noise: int) -> None:
    image, disc = draw_subject(size, place, noise=noise)

    assert keeps(image, disc, (1, 1))


@pytest.mark.parametrize("place", [0.25, 0.4, 0.7])
def test_a_subject_has_room_on_both_sides(place: float) -> None:
    image, _ = draw_subject((900, 300), place)

    assert find_focus(image, "auto", (1, 1)) == pytest.approx((place, 0.5), abs=0.03)


def test_a_sharp_subject_wins_over_a_blurred_one_of_its_size() -> None:
    image = Image.new("RGB", (600, 200), "#708090")
    for left in (30, 430):
        for row in range(0, 140, 20):
            ImageDraw.Draw(image).rectangle([left, 30 + row, left + 140, 40 + row], fill="#e0d0b0")
    image.paste(image.crop((0, 0, 300, 200)).filter(ImageFilter.GaussianBlur(6)))

    assert find_focus(image, "auto", (1, 1))[0] > 0.7


@pytest.mark.parametrize("colour", ["white", "black", "#808080"])
def test_a_logo_of_any_colour_on_a_transparent_ground_stays_whole(colour: str) -> None:
    image = Image.new("RGBA", (600, 200), (0, 0, 0, 0))
    disc = (440, 40, 560, 160)
    ImageDraw.Draw(image).ellipse(disc, fill=colour)

    assert keeps(image, disc, (1, 1))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("colour", ["black", "white", "#305070"])
def test_a_plain_image_is_cut_at_the_centre(mode: str, colour: str) -> None:
    image = Image.new(mode, (317, 100), colour)

    assert find_focus(image, "auto", (1, 1)) == (0.5, 0.5)


@pytest.mark.parametrize("noise", [10, 100])
def test_noise_alone_is_cut_near_the_centre(noise: int) -> None:
    image = draw_noise((600, 300), noise)

    assert find_focus(image, "auto", (1, 1)) == pytest.approx((0.5, 0.5), abs=0.08)


@pytest.mark.parametrize("place", [0.2, 0.35, 0.7])
def test_a_mirrored_image_has_the_mirrored_point(place: float) -> None:
    image, _ = draw_subject((640, 300), place, noise=20)

    x, y = find_focus(image, "auto", (3, 4))
    mirrored = find_focus(ImageOps.mirror(image), "auto", (3, 4))

    assert mirrored == pytest.approx((1 - x, y), abs=0.04)


def test_a_point_and_the_centre_are_what_they_say() -> None:
    image, _ = draw_subject((640, 300), 0.1)

    assert find_focus(image, "0.3,0.7", (1, 1)) == (0.3, 0.7)
    assert find_focus(image, "centre", (1, 1)) == (0.5, 0.5)
    with pytest.raises(ValueError, match="no focus middle"):
        find_focus(image, "middle", (1, 1))


@EXAMPLES
@given(
    st.sampled_from(MODES),
    st.tuples(st.integers(1, 150), st.integers(1, 150)) | st.sampled_from([(1, 4000), (4000, 1), (700, 2), (2, 700)]),
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.binary(min_size=1, max_size=400),
)
def test_every_image_has_a_point(mode: str, size: tuple[int, int], target: tuple[int, int], content: bytes) -> None:
    length = size[0] * size[1] * len(Image.new(mode, (1, 1)).getbands())
    image = Image.frombytes(mode, size, (content * (length // len(content) + 1))[:length])

    point = find_focus(image, "auto", target)

    assert all(0 <= share <= 1 for share in point)
    assert find_focus(image, "auto", target) == point
    box = focus_box(size, target, point)
    assert 0 <= box[0] < box[2] <= size[0]
    assert 0 <= box[1] < box[3] <= size[1]


@pytest.mark.parametrize("size", [(64, 64), (3000, 2000), (12_000, 3)])
def test_the_maps_of_an_image_of_any_size_are_small(size: tuple[int, int]) -> None:
    assert all(max(item.map.size) <= 64 for item in subject_maps(Image.new("RGB", size)))

"""Grayscale, blur, sharpen and modulate change colours, and never show those of transparent pixels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageStat

from stages.steps.blur import Blur
from stages.steps.grayscale import Grayscale
from stages.steps.modulate import Modulate
from stages.steps.rotate import Rotate
from stages.steps.sharpen import Sharpen
from stages.steps.step import Step, StepContext
from tests.support.images import cutout, photo
from tests.support.properties import EXAMPLES
from tests.support.step_images import difference

CONTEXT = StepContext()
TWICE = StepContext(dpr=2)
COLOURS = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))


def change(step: Step, colour: tuple[int, ...], mode: str = "RGB") -> tuple[int, ...]:
    found = step.apply(Image.new(mode, (2, 2), colour), CONTEXT).getpixel((0, 0))
    return found if isinstance(found, tuple) else (int(found or 0),)


def batched(pixels: bytes) -> list[tuple[int, ...]]:
    return list(zip(*[iter(pixels)] * 4, strict=True))


@EXAMPLES
@given(colour=COLOURS)
def test_grey_keeps_the_luminance_of_a_colour(colour: tuple[int, int, int]) -> None:
    red, green, blue = colour

    assert change(Grayscale(), colour)[0] == pytest.approx(0.299 * red + 0.587 * green + 0.114 * blue, abs=1)


def test_grey_keeps_alpha() -> None:
    assert change(Grayscale(), (255, 0, 0, 90), "RGBA") == (76, 90)
    assert change(Grayscale(), (50, 90), "LA") == (50, 90)


@pytest.mark.parametrize(
    "step", [Blur(radius=3), Blur(radius=9), Sharpen(radius=3, amount=2), Rotate(degrees=20), Modulate(hue=1)]
)
@pytest.mark.parametrize("hidden", ["#000000", "#00ff00"])
def test_transparent_pixels_give_nothing_of_their_colour(step: Step, hidden: str) -> None:
    disc = cutout(colour=(200, 100, 50))
    image = Image.new("RGB", disc.size, hidden)
    image.paste(disc, mask=disc)
    image.putalpha(disc.getchannel("A"))
    plain = step.apply(Image.new("RGB", (80, 80), (200, 100, 50)), CONTEXT).getpixel((40, 40))

    result = step.apply(image, CONTEXT)

    seen = [pixel for pixel in batched(result.tobytes()) if pixel[3] > 64]
    assert len(seen) > 500
    for pixel in seen:
        assert pixel[:3] == pytest.approx(plain, abs=8)  # few levels are left of a premultiplied colour


@EXAMPLES
@given(radius=st.floats(0.3, 30))
def test_a_blur_spreads_an_edge_by_its_radius(radius: float) -> None:
    edge = Image.new("L", (400, 260), 0)
    edge.paste(255, (200, 0, 400, 260))

    row = Blur(radius=radius).apply(edge, CONTEXT).crop((0, 130, 400, 131))

    steps = [row.getpixel((x + 1, 0)) - row.getpixel((x, 0)) for x in range(399)]  # type: ignore[operator]
    mean = sum(x * step for x, step in enumerate(steps)) / 255
    deviation = (sum((x - mean) ** 2 * step for x, step in enumerate(steps)) / 255) ** 0.5
    assert mean == pytest.approx(199, abs=0.2)
    assert deviation == pytest.approx(radius, rel=0.03, abs=0.1)


@pytest.mark.parametrize("radius", [4, 13, 60])
def test_a_large_blur_of_a_reduced_image_looks_the_same(radius: float) -> None:
    image = photo(640, 400)

    mean, largest = difference(
        Blur(radius=radius).apply(image, CONTEXT), image.filter(ImageFilter.GaussianBlur(radius))
    )

    assert mean < 0.8
    assert largest <= 4


@pytest.mark.parametrize("step", [Blur(radius=3), Sharpen(radius=2)])
def test_a_plain_image_stays_as_it_is(step: Step) -> None:
    for mode, colour in (("L", (90,)), ("LA", (90, 128)), ("RGB", (10, 90, 200)), ("RGBA", (10, 90, 200, 128))):
        assert change(step, colour, mode) == pytest.approx(colour, abs=1)


@pytest.mark.parametrize(("step", "double"), [(Blur(radius=3), Blur(radius=6)), (Sharpen(), Sharpen(radius=2))])
def test_the_density_doubles_a_radius(step: Step, double: Step) -> None:
    assert step.apply(photo(), TWICE).tobytes() == double.apply(photo(), CONTEXT).tobytes()
    assert step.apply(photo(), TWICE).tobytes() != step.apply(photo(), CONTEXT).tobytes()


def test_sharpen_adds_its_share_of_the_difference_from_the_blurred_image() -> None:
    image = photo().point([64 + level // 2 for level in range(256)] * 3)
    blurred = Blur(radius=1).apply(image, CONTEXT)

    sharpened = Sharpen(radius=1, amount=0.5).apply(image, CONTEXT)

    for given_, soft, sharp in zip(image.tobytes(), blurred.tobytes(), sharpened.tobytes(), strict=True):
        assert sharp == pytest.approx(given_ + 0.5 * (given_ - soft), abs=1)


def test_sharpen_keeps_the_colour_of_a_lone_pixel() -> None:
    image = Image.new("RGBA", (60, 60), "#00000000")
    image.putpixel((30, 30), (120, 60, 30, 255))

    assert Sharpen(radius=10, amount=2).apply(image, CONTEXT).getpixel((30, 30)) == (120, 60, 30, 255)


def test_sharpen_keeps_alpha() -> None:
    assert Sharpen(amount=3).apply(cutout(), CONTEXT).getchannel("A").tobytes() == cutout().getchannel("A").tobytes()


@EXAMPLES
@given(colour=COLOURS)
def test_modulate_without_a_change_keeps_every_colour(colour: tuple[int, int, int]) -> None:
    assert change(Modulate(), colour) == pytest.approx(colour, abs=1)


# CIE 15: L* of 50 is the grey 119 of sRGB; that of pure red is 53.2, that of pure blue 32.3.
@pytest.mark.parametrize(
    ("step", "colour", "expected"),
    [
        (Modulate(brightness=0.5), (255, 255, 255), (119, 119, 119)),
        (Modulate(brightness=2), (119, 119, 119), (255, 255, 255)),
        (Modulate(lightness=-100), (250, 240, 230), (0, 0, 0)),
        (Modulate(lightness=50), (0, 0, 0), (119, 119, 119)),
        (Modulate(saturation=0), (255, 0, 0), (127, 127, 127)),
        (Modulate(saturation=0), (0, 0, 255), (76, 76, 76)),
        (Modulate(hue=180), (128, 128, 128), (128, 128, 128)),
    ],
)
def test_modulate_works_in_lch(step: Step, colour: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    assert change(step, colour) == pytest.approx(expected, abs=2)


def test_a_whole_turn_of_the_hue_is_none() -> None:
    assert difference(Modulate(hue=360).apply(photo(), CONTEXT), photo())[1] <= 1
    assert difference(Modulate(hue=180).apply(photo(), CONTEXT), photo())[0] > 20


def test_a_third_of_a_turn_makes_red_green_and_green_blue() -> None:
    red, green, blue = (180, 130, 130), (130, 160, 120), (120, 150, 190)

    turned = change(Modulate(hue=120), red)
    assert max(turned) == turned[1]
    turned = change(Modulate(hue=120), green)
    assert max(turned) == turned[2]
    turned = change(Modulate(hue=120), blue)
    assert max(turned) == turned[0]
    for _ in range(2):
        turned = change(Modulate(hue=120), turned)
    assert turned == pytest.approx(blue, abs=4)


@EXAMPLES
@given(brightness=st.sampled_from((0, 0.5, 1.3, 3)), level=st.integers(0, 255))
def test_modulate_treats_grey_images_as_grey_colours(brightness: float, level: int) -> None:
    step = Modulate(brightness=brightness)

    assert change(step, (level,), "L")[0] == pytest.approx(change(step, (level,) * 3)[1], abs=3)
    assert change(step, (level, 77), "LA")[1] == 77


def test_modulate_keeps_alpha() -> None:
    result = Modulate(brightness=2, hue=40).apply(cutout(), CONTEXT)

    assert result.getchannel("A").tobytes() == cutout().getchannel("A").tobytes()
    assert ImageStat.Stat(result).mean != ImageStat.Stat(cutout()).mean

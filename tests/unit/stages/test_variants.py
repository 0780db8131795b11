"""A rendition of a preset: its size, its formats and densities, from one master."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from stages.errors import InvalidOperation
from stages.limits import Limits
from stages.normalize import build_master_pyramid
from stages.rendition_spec import RenditionSpec
from stages.resize import Variant, resize
from stages.resize_plan import BoxFit, plan_levels, whole_edge
from stages.steps.crop import Crop
from stages.steps.resize import Resize
from tests.support.images import cutout, decode_image, encode_image, photo

LIMITS = Limits()
RED, BLUE = (250, 0, 0), (0, 0, 250)
ORIGINALS = [(1, 1), (3, 400), (400, 3), (100, 100), (300, 200), (601, 399)]
FITS: tuple[BoxFit, ...] = ("inside", "cover", "contain", "fill", "scale-down")


def make(picture: Image.Image, **spec: Any) -> list[Variant]:
    """Make a rendition as a job does: normalize to the size it needs, then resize."""
    wanted = RenditionSpec(**{"formats": ("png",)} | spec)
    master = build_master_pyramid(encode_image(picture), specs={"card": wanted}, limits=LIMITS)["card"]
    return list(resize(master, wanted, original_size=picture.size, limits=LIMITS))


def sizes(picture: Image.Image, **spec: Any) -> list[tuple[int, int]]:
    return [(variant.rendition.width, variant.rendition.height) for variant in make(picture, **spec)]


def plain(size: tuple[int, int]) -> Image.Image:
    """Draw an image of which only the size matters; it takes little time to encode."""
    return Image.new("RGB", size, RED)


def halves() -> Image.Image:
    """Draw red on the left and blue on the right, twice as wide as high."""
    image = Image.new("RGB", (400, 200), RED)
    image.paste(BLUE, (200, 0, 400, 200))
    return image


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"edge": 150}, [(150, 100)]),
        ({"edge": 900}, [(300, 200)]),
        ({"edge": 900, "enlarge": True}, [(900, 600)]),
        ({"width": 60, "height": 60}, [(60, 40)]),
        ({"width": 60}, [(60, 40)]),
        ({"height": 60, "fit": "cover"}, [(90, 60)]),
        ({"width": 60, "height": 60, "fit": "cover"}, [(60, 60)]),
        ({"width": 400, "height": 400, "fit": "cover"}, [(200, 200)]),
        ({"width": 400, "height": 400, "fit": "cover", "enlarge": True}, [(400, 400)]),
        ({"width": 60, "height": 60, "fit": "contain"}, [(60, 60)]),
        ({"width": 900, "height": 900, "fit": "contain"}, [(900, 900)]),
        ({"width": 900, "height": 900, "fit": "scale-down", "enlarge": True}, [(900, 900)]),
        ({"width": 60, "height": 90, "fit": "fill"}, [(60, 90)]),
        ({"edge": 150, "dpr": (1, 2, 3)}, [(150, 100), (300, 200)]),
        ({"edge": 200, "dpr": (1, 1.25, 2)}, [(200, 133), (250, 167), (300, 200)]),
        ({"width": 80, "height": 80, "fit": "cover", "dpr": (1, 2, 3)}, [(80, 80), (160, 160), (200, 200)]),
        ({"width": 400, "height": 400, "fit": "contain", "dpr": (1, 2)}, [(400, 400)]),
        ({"width": 200, "height": 200, "fit": "contain", "dpr": (1, 2)}, [(200, 200), (300, 300)]),
        ({"width": 200, "height": 200, "fit": "contain", "dpr": (1, 2), "enlarge": True}, [(200, 200), (400, 400)]),
    ],
)
def test_a_rendition_has_the_sizes_of_its_definition(spec: dict[str, Any], expected: list[tuple[int, int]]) -> None:
    assert sizes(plain((300, 200)), **spec) == expected


@pytest.mark.parametrize(("original", "fit", "box"), [*product(ORIGINALS, FITS, [(50, 50), (120, 40), (90, None)])])
def test_without_enlarge_nothing_grows(original: tuple[int, int], fit: BoxFit, box: tuple[int, int | None]) -> None:
    spec = {"width": box[0], "height": box[1], "fit": fit, "dpr": (1, 2)}

    found = sizes(plain(original), **spec)

    is_padded = fit in ("contain", "scale-down") and box[1]
    bound = tuple(2 * (side or 0) for side in box) if is_padded else original
    assert all(1 <= side <= most for size in found for side, most in zip(size, bound, strict=True))
    assert [width * height for width, height in found] == sorted({width * height for width, height in found})


@pytest.mark.parametrize("original", [(800, 801), (2000, 300), (300, 2000), (1000, 999)])
@pytest.mark.parametrize("dpr", [1, 1.5, 2])
def test_cover_is_exactly_the_box(original: tuple[int, int], dpr: float) -> None:
    box = (140, 120)

    assert sizes(plain(original), width=box[0], height=box[1], fit="cover", dpr=(dpr,)) == [
        (round(140 * dpr), round(120 * dpr))
    ]


@pytest.mark.parametrize("original", ORIGINALS)
@pytest.mark.parametrize("fit", FITS)
def test_a_master_is_never_larger_than_the_original(original: tuple[int, int], fit: BoxFit) -> None:
    specs = {
        "grows": RenditionSpec(width=3000, height=2000, fit=fit, enlarge=True),
        "dense": RenditionSpec(width=50, height=20, fit=fit, dpr=(1, 4)),
        "edge": RenditionSpec(edge=250, dpr=(1, 2)),
    }

    for width, height in plan_levels(original, specs).values():
        assert 1 <= width <= original[0]
        assert 1 <= height <= original[1]


def test_a_master_is_the_whole_image_in_the_size_of_the_highest_density() -> None:
    specs = {
        "card": RenditionSpec(width=100, height=100, fit="cover", dpr=(1, 2)),
        "wide": RenditionSpec(width=100, height=100, fit="fill"),
        "edge": RenditionSpec(edge=150, dpr=(1, 2)),
    }

    masters = build_master_pyramid(encode_image(photo(601, 400)), specs=specs, limits=LIMITS)

    assert {name: (master.width, master.height) for name, master in masters.items()} == {
        "card": (300, 200),
        "edge": (300, 200),
        "wide": (150, 100),
    }
    assert masters["card"] is masters["edge"]


@pytest.mark.parametrize(
    ("spec", "edge"),
    [
        ({"edge": 90}, 90),
        ({"width": 90}, 135),
        ({"width": 90, "height": 90, "fit": "cover", "dpr": (1, 2)}, 90),
        ({"height": 900, "enlarge": True}, 300),
    ],
)
def test_an_animation_is_whole_in_the_box(spec: dict[str, Any], edge: int) -> None:
    assert whole_edge((200, 300), RenditionSpec(**spec)) == edge


def test_every_density_shows_the_same() -> None:
    low, high = make(photo(601, 401), width=90, height=140, fit="cover", focus="0.2,0.6", dpr=(1, 2))

    small, large = decode_image(low.rendition.content), decode_image(high.rendition.content)
    difference = ImageChops.difference(small, large.resize(small.size, Image.Resampling.BICUBIC))
    assert max(ImageStat.Stat(difference).mean) < 4


def test_a_density_that_the_original_has_no_pixels_for_has_the_padding_of_the_one_before() -> None:
    """If the box grew and the image did not, the image would look smaller on a better screen."""
    low, high = make(Image.new("RGB", (150, 150), RED), width=100, height=200, fit="contain", dpr=(1, 2))

    assert (high.rendition.width, high.rendition.height) == (150, 300)
    for variant, edge in ((low, 50), (high, 75)):
        image = decode_image(variant.rendition.content).convert("RGB")
        assert image.getpixel((50, edge - 2)) == (255, 255, 255)
        assert image.getpixel((50, edge + 2)) == pytest.approx(RED, abs=4)


def test_a_density_without_more_pixels_is_the_same_file() -> None:
    variants = make(photo(120, 90), edge=100, dpr=(1, 2, 3), formats=("webp", "jpeg"))

    assert [(variant.rendition.format, variant.densities) for variant in variants] == [
        ("webp", (1,)),
        ("jpeg", (1,)),
        ("webp", (2, 3)),
        ("jpeg", (2, 3)),
    ]


@pytest.mark.parametrize(("focus", "colour"), [("0,0.5", RED), ("1,0.5", BLUE)])
def test_a_cut_keeps_the_focus(focus: str, colour: tuple[int, int, int]) -> None:
    (variant,) = make(halves(), width=50, height=50, fit="cover", focus=focus)

    image = decode_image(variant.rendition.content).convert("RGB")
    assert [image.getpixel((x, 25)) for x in (2, 47)] == [pytest.approx(colour, abs=4)] * 2


def test_fill_stretches_the_whole_image() -> None:
    (variant,) = make(halves(), width=50, height=100, fit="fill")

    image = decode_image(variant.rendition.content).convert("RGB")
    assert [image.getpixel((x, 50)) for x in (5, 45)] == [pytest.approx(colour, abs=4) for colour in (RED, BLUE)]


def test_each_format_has_its_quality() -> None:
    low, high = (
        {variant.rendition.format: len(variant.rendition.content) for variant in make(photo(), **spec)}
        for spec in (
            {"edge": 96, "formats": ("webp", "jpeg"), "quality": {"jpeg": 10, "webp": 90}},
            {"edge": 96, "formats": ("webp", "jpeg"), "quality": {"jpeg": 90, "webp": 10}},
        )
    )

    assert low["jpeg"] < high["jpeg"]
    assert low["webp"] > high["webp"]


@pytest.mark.parametrize(
    ("picture", "formats", "expected"),
    [
        (photo(), ("avif", "auto"), ["avif", "jpeg"]),
        (photo(), ("auto", "jpeg"), ["jpeg"]),
        (cutout(), ("avif", "webp", "auto"), ["avif", "webp"]),
        (cutout(), ("auto", "avif", "webp"), ["avif", "webp"]),
    ],
)
def test_auto_is_one_of_the_formats_and_no_format_is_there_twice(
    picture: Image.Image, formats: tuple[str, ...], expected: list[str]
) -> None:
    assert [variant.rendition.format for variant in make(picture, edge=96, formats=formats)] == expected


def test_a_format_that_cannot_hold_the_result_is_left_out() -> None:
    strip = plain((16_384, 2))

    assert [variant.rendition.format for variant in make(strip, edge=16_384, formats=("webp", "jpeg"))] == ["jpeg"]
    assert [
        (variant.rendition.format, variant.densities)
        for variant in make(strip, edge=8_192, formats=("webp", "jpeg"), dpr=(1, 2))
    ] == [("webp", (1,)), ("jpeg", (1,)), ("jpeg", (2,))]


def test_a_rendition_that_none_of_its_formats_can_hold_is_refused() -> None:
    with pytest.raises(InvalidOperation, match="webp allows at most"):
        make(plain((16_384, 2)), edge=16_384, formats=("webp",))


def test_alpha_is_laid_on_the_background_in_a_format_that_has_none() -> None:
    clear, flat = make(cutout(), edge=96, formats=("webp", "jpeg"), background="#0000ff")

    assert decode_image(clear.rendition.content).getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert decode_image(flat.rendition.content).getpixel((0, 0)) == pytest.approx((0, 0, 255), abs=6)


def test_steps_count_in_pixels_of_the_definition() -> None:
    spec = {"width": 100, "height": 100, "fit": "cover", "steps": (Crop(left=10, top=0, width=50, height=100),)}

    assert sizes(plain((300, 300)), dpr=(1, 1.5, 4), **spec) == [(50, 100), (75, 150), (150, 300)]


def test_a_rendition_over_the_limits_is_refused() -> None:
    spec = RenditionSpec(width=200, height=10, fit="cover", enlarge=True)
    master = build_master_pyramid(encode_image(photo(20, 20)), specs={"card": spec}, limits=LIMITS)["card"]

    with pytest.raises(InvalidOperation, match="200 pixels wide"):
        list(resize(master, spec, limits=Limits(side=100)))


def test_a_thin_strip_that_grows_is_cut_before_it_is_scaled() -> None:
    assert sizes(plain((2000, 2)), width=3000, height=3000, fit="cover", enlarge=True) == [(3000, 3000)]


def test_the_step_that_is_named_like_the_stage_makes_the_same_sizes() -> None:
    picture = plain((300, 200))
    for spec in ({"edge": 150}, {"width": 60, "height": 60, "fit": "cover"}, {"height": 60, "fit": "fill"}):
        assert sizes(picture, edge=300, steps=(Resize(**spec),)) == sizes(picture, **spec)

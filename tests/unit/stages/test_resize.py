"""Resize makes a rendition of the master: bounded, never enlarged, encoded as requested, without metadata."""

from __future__ import annotations

import runpy
import sys

import pytest
from PIL import Image, ImageChops, ImageStat

from stages import scale
from stages.normalize import Master
from stages.rendition import Rendition
from stages.rendition_spec import RenditionSpec
from stages.resize import resize as resize_master
from tests.support.images import cutout, decode_image, photo


@pytest.fixture(params=["simd", "pillow"], autouse=True)
def resampler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test of this file with both resamplers."""
    if request.param == "pillow":
        monkeypatch.setattr(scale, "SIMD_MODES", frozenset())
    elif not scale.SIMD_MODES:
        pytest.skip("no SIMD resampler for this machine")


def master(picture: Image.Image) -> Master:
    return Master(picture.mode, picture.width, picture.height, picture.tobytes())


def resize(master: Master, *, edge: int, format: str = "auto", quality: int | None = None) -> Rendition:  # noqa: A002
    """Return the only variant of a rendition that is an edge."""
    qualities = {} if quality is None else {"jpeg": quality}
    (variant,) = resize_master(master, RenditionSpec(edge=edge, formats=(format,), quality=qualities))
    assert variant.densities == (1,)
    return variant.rendition


@pytest.mark.parametrize(
    ("size", "edge", "expected"),
    [
        ((160, 120), 80, (80, 60)),
        ((120, 160), 80, (60, 80)),
        ((160, 120), 160, (160, 120)),
        ((160, 120), 1600, (160, 120)),
        ((400, 3), 40, (40, 1)),
        ((1, 300), 40, (1, 40)),
        ((1, 1), 40, (1, 1)),
        ((101, 67), 50, (50, 33)),
    ],
)
def test_resize_bounds_the_longest_side_and_never_enlarges(
    size: tuple[int, int], edge: int, expected: tuple[int, int]
) -> None:
    rendition = resize(master(photo(*size)), edge=edge)

    assert (rendition.width, rendition.height) == expected
    assert decode_image(rendition.content).size == expected


def test_resize_scales_like_a_cubic() -> None:
    rendition = resize(master(photo(400, 300)), edge=100, format="png")

    expected = photo(400, 300).resize((100, 75), Image.Resampling.BICUBIC)
    assert max(ImageStat.Stat(ImageChops.difference(decode_image(rendition.content), expected)).mean) < 0.5


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "avif"])
def test_resize_encodes_to_the_requested_format(name: str) -> None:
    rendition = resize(master(photo()), edge=40, format=name)

    assert (rendition.format, rendition.media_type) == (name, f"image/{name}")
    assert decode_image(rendition.content).format == name.upper()


def test_auto_is_jpeg_for_opaque_and_webp_with_alpha() -> None:
    assert resize(master(photo()), edge=40).format == "jpeg"
    assert resize(master(cutout()), edge=40).format == "webp"
    assert decode_image(resize(master(cutout()), edge=40).content).mode == "RGBA"


def test_alpha_is_laid_on_white_if_the_format_has_none() -> None:
    flat = decode_image(resize(master(cutout()), edge=96, format="jpeg").content)

    assert flat.mode == "RGB"
    assert flat.getpixel((0, 0)) == pytest.approx((255, 255, 255), abs=4)
    assert flat.getpixel((48, 32)) == pytest.approx((250, 20, 20), abs=8)


def test_alpha_is_scaled_without_dark_fringes() -> None:
    small = decode_image(resize(master(cutout(96, 64, (250, 20, 20))), edge=30, format="png").content)

    edges = [pixel for pixel in small.get_flattened_data() if isinstance(pixel, tuple) and 16 < pixel[3] < 255]
    assert edges
    assert all(red > 235 and green < 40 for red, green, _, _ in edges)


def test_grey_with_alpha_scales_like_colours_with_alpha() -> None:
    grey = cutout().convert("LA")

    small, expected = scale.scale(grey, (30, 20)), scale.scale(grey.convert("RGBA"), (30, 20))

    assert small.mode == "LA"
    assert max(ImageStat.Stat(ImageChops.difference(small.convert("RGBA"), expected)).mean) < 0.5


def test_quality_is_applied() -> None:
    sizes = [len(resize(master(photo()), edge=96, quality=quality).content) for quality in (10, None, 95)]

    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


def test_without_the_simd_resampler_pillow_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cykooz_resizer", None)

    module = runpy.run_path(str(scale.__file__))

    assert module["SIMD_MODES"] == frozenset()
    assert module["scale"](photo(), (9, 6)).size == (9, 6)

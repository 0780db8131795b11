"""Normalize turns any original into upright, bounded 8-bit pixels without metadata."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops, ImageStat

from stages.errors import ImageTruncated
from stages.limits import Limits
from stages.normalize import Master, normalize
from tests.support.images import CELL, GRID, cutout, encode_image, encode_oriented_grid, photo

LIMITS = Limits()


def master_of(picture: Image.Image, name: str = "png", *, edge: int = 1600, **options: object) -> Master:
    return normalize(encode_image(picture, name, **options), edge=edge, limits=LIMITS)


def difference(one: Image.Image, other: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


@pytest.mark.parametrize(
    ("name", "tolerance"), [("jpeg", 4), ("png", 0), ("webp", 0), ("tiff", 0), ("bmp", 0), ("avif", 4), ("gif", 12)]
)
def test_normalize_keeps_the_image(name: str, tolerance: float) -> None:
    master = master_of(photo(), name)

    assert (master.mode, master.width, master.height) == ("RGB", *photo().size)
    assert len(master.pixels) == master.width * master.height * 3
    assert difference(master.image(), photo()) <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "avif"])
def test_normalize_applies_the_orientation_once(name: str, orientation: int) -> None:
    master = normalize(encode_oriented_grid(name, orientation), edge=1600, limits=LIMITS)

    assert (master.width, master.height) == (3 * CELL, 2 * CELL)
    for y, row in enumerate(GRID):
        for x, colour in enumerate(row):
            found = master.image().getpixel((x * CELL + CELL // 2, y * CELL + CELL // 2))
            assert found == pytest.approx(colour, abs=6)


@pytest.mark.parametrize("orientation", [1, 6])
def test_normalize_bounds_the_longest_side_as_displayed(orientation: int) -> None:
    master = normalize(encode_oriented_grid("jpeg", orientation), edge=24, limits=LIMITS)

    assert (master.width, master.height) == (24, 16)


@pytest.mark.parametrize("name", ["jpeg", "png"])
def test_normalize_scales_like_a_cubic(name: str) -> None:
    picture = photo(800, 600)

    master = master_of(picture, name, edge=300)

    assert (master.width, master.height) == (300, 225)
    assert difference(master.image(), picture.resize((300, 225), Image.Resampling.BICUBIC)) < 2


def test_normalize_never_enlarges() -> None:
    master = master_of(photo(31, 7))

    assert (master.width, master.height) == (31, 7)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (400, 20)])
def test_normalize_leaves_at_least_a_pixel_a_side(size: tuple[int, int]) -> None:
    master = master_of(photo(*size), edge=10)

    assert min(master.width, master.height) == 1
    assert max(master.width, master.height) == min(10, max(size))


def test_alpha_is_kept_if_a_pixel_is_not_opaque() -> None:
    opaque = photo().copy()
    opaque.putalpha(255)

    assert master_of(cutout()).mode == "RGBA"
    assert master_of(opaque).mode == "RGB"


def test_alpha_is_scaled_without_dark_fringes() -> None:
    master = master_of(cutout(96, 64, (250, 20, 20)), edge=30).image()

    edges = [pixel for pixel in master.get_flattened_data() if isinstance(pixel, tuple) and 16 < pixel[3] < 255]
    assert edges
    assert all(red > 235 and green < 40 for red, green, _, _ in edges)


def test_the_same_original_gives_the_same_master() -> None:
    original = encode_image(photo(), "jpeg")

    assert normalize(original, edge=50, limits=LIMITS) == normalize(original, edge=50, limits=LIMITS)


def test_a_truncated_original_is_refused() -> None:
    with pytest.raises(ImageTruncated):
        normalize(encode_image(photo(), "jpeg")[:-200], edge=1600, limits=LIMITS)

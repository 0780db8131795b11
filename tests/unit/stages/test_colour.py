"""Whatever its colour space is, an image becomes sRGB and looks the same."""

from __future__ import annotations

import struct

import pytest
from PIL import Image, ImageCms

from stages.limits import Limits
from stages.normalize import normalize
from tests.support.images import D50, PRIMARIES, cmyk_profile, cutout, encode_image, grey_profile, photo, rgb_profile

ORANGE = (200, 120, 60)


def first_pixel(picture: Image.Image, name: str = "png", **options: object) -> tuple[int, ...]:
    pixel = normalize(encode_image(picture, name, **options), edge=1600, limits=Limits()).image().getpixel((1, 1))
    assert isinstance(pixel, tuple)
    return pixel


def plain(mode: str, colour: tuple[int, ...] | int) -> Image.Image:
    return Image.new(mode, (16, 16), colour)


def srgb_of(space: str, colour: tuple[int, int, int], gamma: float) -> tuple[int, ...]:
    """Convert by the formulas of IEC 61966-2-1, without a colour engine: to linear, to XYZ, to linear sRGB, to sRGB."""
    linear = [(level / 255) ** gamma for level in colour]
    xyz = [sum(part * PRIMARIES[space][band][axis] for band, part in enumerate(linear)) for axis in range(3)]
    return tuple(_srgb_level(level) for level in _solve([*zip(*PRIMARIES["srgb"], strict=True)], xyz))


def _srgb_level(linear: float) -> int:
    linear = min(1.0, max(0.0, linear))
    return round(255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055))


def _solve(rows: list[tuple[float, ...]], right: list[float]) -> list[float]:
    """Solve three equations by Cramer's rule."""

    def determinant(matrix: list[tuple[float, ...]]) -> float:
        (a, b, c), (d, e, f), (g, h, i) = matrix
        return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)

    whole = determinant(rows)
    return [
        determinant([(*row[:column], value, *row[column + 1 :]) for row, value in zip(rows, right, strict=True)])
        / whole
        for column in range(3)
    ]


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "avif"])
@pytest.mark.parametrize("space", ["p3", "adobe"])
def test_a_wide_profile_is_applied(space: str, name: str) -> None:
    found = first_pixel(plain("RGB", ORANGE), name, icc_profile=rgb_profile(space))

    assert found == pytest.approx(srgb_of(space, ORANGE, 2.2), abs=5 if name in ("jpeg", "avif") else 2)
    assert max(abs(one - other) for one, other in zip(found, ORANGE, strict=True)) > 5


def test_a_profile_applies_to_colours_and_not_to_alpha() -> None:
    picture = plain("RGBA", (*ORANGE, 128))

    found = first_pixel(picture, icc_profile=rgb_profile("p3"))

    assert found == pytest.approx((*srgb_of("p3", ORANGE, 2.2), 128), abs=2)


def test_a_profile_applies_to_a_palette() -> None:
    picture = plain("RGB", ORANGE).quantize(2)

    assert first_pixel(picture, icc_profile=rgb_profile("p3")) == pytest.approx(srgb_of("p3", ORANGE, 2.2), abs=3)


def bmp(kind: bytes, profile: bytes) -> bytes:
    """Build a BITMAPV5HEADER, four pixels and a profile; the header's own primaries are those of P3, its gamma is 1."""
    colours = struct.pack("<9i3I", *(round(part * 2**30) for part in sum(PRIMARIES["p3"], ())), *[65_536] * 3)
    header = struct.pack("<IiiHHIIiiII16x", 124, 4, 1, 1, 24, 0, 12, 0, 0, 0, 0) + kind + colours
    header += struct.pack("<4I", 4, 124 + 12, len(profile), 0)
    return (
        b"BM"
        + struct.pack("<IHHI", 14 + 124 + 12 + len(profile), 0, 0, 138)
        + header
        + bytes(ORANGE[::-1]) * 4
        + profile
    )


@pytest.mark.parametrize(
    ("kind", "profile", "colour"),
    [
        (b"DEBM", rgb_profile("p3"), srgb_of("p3", ORANGE, 2.2)),
        (b"DEBM", rgb_profile("p3")[:90], ORANGE),
        (b"BGRs", rgb_profile("p3"), ORANGE),
        (bytes(4), b"", ORANGE),
    ],
    ids=["embedded", "truncated", "sRGB", "calibrated"],
)
def test_only_an_embedded_profile_is_applied_to_a_bmp(kind: bytes, profile: bytes, colour: tuple[int, ...]) -> None:
    found = normalize(bmp(kind, profile), edge=16, limits=Limits()).image().getpixel((1, 0))

    assert found == pytest.approx(colour, abs=2)


@pytest.mark.parametrize("level", [1, 4, 100])
@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_grey_profile_is_applied(mode: str, level: int) -> None:
    found = first_pixel(plain(mode, level if mode == "L" else (level, 128)), icc_profile=grey_profile(1.0))

    assert found[:3] == pytest.approx((_srgb_level(level / 255),) * 3, abs=1)
    assert found[3:] == (() if mode == "L" else (128,))


def test_a_grey_image_with_an_rgb_profile_is_converted_by_it() -> None:
    found = first_pixel(plain("L", 100), icc_profile=rgb_profile("srgb", 1.0))

    assert found == pytest.approx((_srgb_level(100 / 255),) * 3, abs=2)


@pytest.mark.parametrize("name", ["jpeg", "tiff"])
def test_cmyk_without_a_profile_is_converted_by_subtraction(name: str) -> None:
    found = first_pixel(plain("CMYK", (0, 255, 255, 0)), name)

    assert found == pytest.approx((255, 0, 0), abs=6)


@pytest.mark.parametrize("name", ["jpeg", "tiff"])
def test_cmyk_with_a_profile_is_converted_by_it(name: str) -> None:
    paper = first_pixel(plain("CMYK", (0, 0, 0, 0)), name, icc_profile=cmyk_profile())
    ink = first_pixel(plain("CMYK", (255, 0, 0, 0)), name, icc_profile=cmyk_profile())

    assert paper == pytest.approx((255, 255, 255), abs=3)
    assert max(ink) - min(ink) <= 4  # the profile's press prints grey: subtraction would give pure cyan
    assert 150 < ink[0] < 210  # L* 75


def test_the_darkest_ink_of_a_press_becomes_black_and_paper_white() -> None:
    profile = cmyk_profile(black=50, perceptual_black=120)

    paper, half, ink = (
        first_pixel(plain("CMYK", (level,) * 4), "tiff", icc_profile=profile) for level in (0, 128, 255)
    )

    assert paper == pytest.approx((255, 255, 255), abs=1)
    assert half == pytest.approx((139, 139, 139), abs=2)  # L* 60, less the light of L* 20: CIE 15
    assert ink == pytest.approx((0, 0, 0), abs=1)


def test_an_adobe_jpeg_stores_its_inks_inverted() -> None:
    original = encode_image(plain("CMYK", (0, 0, 0, 0)), "jpeg")

    assert b"Adobe" in original
    found = normalize(original, edge=16, limits=Limits()).image().getpixel((8, 8))
    assert found == pytest.approx((255, 255, 255), abs=2)


@pytest.mark.parametrize(
    "profile",
    [b"", b"rubbish", rgb_profile("p3")[:150], cmyk_profile(), grey_profile(1.0), rgb_profile("p3") * 20_000],
    ids=["empty", "rubbish", "truncated", "for CMYK", "for grey", "beyond all size"],
)
def test_a_profile_that_is_broken_or_for_other_channels_is_ignored(profile: bytes) -> None:
    found = first_pixel(plain("RGB", ORANGE), "tiff", icc_profile=profile)

    assert found == ORANGE


def test_an_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    master = normalize(encode_image(photo(), "png", icc_profile=profile), edge=1600, limits=Limits())

    assert master.pixels == photo().tobytes()


def test_lab_is_converted() -> None:
    grey = first_pixel(Image.merge("LAB", [Image.new("L", (16, 16), level) for level in (128, 128, 128)]), "tiff")

    assert max(grey) - min(grey) <= 3
    assert 100 < grey[0] < 140


def test_an_image_with_alpha_and_profile_keeps_its_shape() -> None:
    master = normalize(encode_image(cutout(), "webp", icc_profile=rgb_profile("adobe")), edge=1600, limits=Limits())

    assert master.mode == "RGBA"
    assert master.image().getchannel("A").tobytes() == cutout().getchannel("A").tobytes()


def test_the_profiles_of_these_tests_share_a_white() -> None:
    for primaries in PRIMARIES.values():
        assert [sum(axis) for axis in zip(*primaries, strict=True)] == pytest.approx(D50, abs=0.002)

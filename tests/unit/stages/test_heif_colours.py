"""An AVIF or HEIC is shown in the colours that it states: the expected pixels are those of Chromium 156."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import pytest
from PIL import Image

from stages.animate import animate
from stages.colour.space import ColourSpace
from stages.decode import open_image
from stages.heif.colours import heif_colour_space
from stages.limits import Limits
from stages.normalize import normalize
from tests.support.avif import Item, avif, coded, gain_mapped, light_level, nclx, restate_colours
from tests.support.images import decode_image, encode_image, rgb_profile

LIMITS = Limits()
PATCH = 16
COLOURS = ((200, 120, 60), (60, 120, 200), (128, 128, 128), (20, 20, 20))
P3_COLOURS = ((212, 115, 41), (27, 122, 205), (128, 128, 128), (20, 20, 20))


def patches(*colours: tuple[int, ...]) -> Image.Image:
    picture = Image.new("RGB", (PATCH * len(colours), PATCH))
    for number, colour in enumerate(colours):
        picture.paste(colour, (PATCH * number, 0, PATCH * (number + 1), PATCH))
    return picture


def drawn(primaries: int, transfer: int, **options: object) -> bytes:
    encoded = encode_image(
        patches(*COLOURS), "avif", quality=100, subsampling="4:4:4", speed=10, range="limited", **options
    )
    return restate_colours(encoded, primaries, transfer)


def shown(original: bytes, colours: int = 4) -> list[tuple[int, ...]]:
    return middles(normalize(original, edge=1600, limits=LIMITS).image(), colours)


def middles(picture: Image.Image, colours: int = 4) -> list[tuple[int, ...]]:
    found = [picture.convert("RGB").getpixel((PATCH * number + PATCH // 2, PATCH // 2)) for number in range(colours)]
    return [pixel for pixel in found if isinstance(pixel, tuple)]


def near(*colours: tuple[int, ...], within: int = 3) -> list[object]:
    return [pytest.approx(colour, abs=within) for colour in colours]


@pytest.mark.parametrize(
    ("primaries", "transfer", "colours"),
    [
        (12, 13, P3_COLOURS),
        (12, 2, P3_COLOURS),
        (9, 1, ((235, 105, 38), (0, 124, 206), (128, 128, 128), (20, 20, 20))),
        (9, 14, ((235, 105, 38), (0, 124, 206), (128, 128, 128), (20, 20, 20))),
        (6, 6, ((195, 121, 58), (67, 121, 199), (128, 128, 128), (20, 20, 20))),
        (1, 4, ((200, 121, 56), (56, 121, 200), (129, 129, 129), (12, 12, 12))),
        (1, 5, ((187, 98, 35), (35, 98, 187), (106, 106, 106), (3, 3, 3))),
        (1, 8, ((229, 183, 132), (132, 183, 229), (188, 188, 188), (79, 79, 79))),
        (2, 8, ((229, 183, 132), (132, 183, 229), (188, 188, 188), (79, 79, 79))),
        (1, 16, ((255, 79, 14), (11, 68, 255), (132, 132, 132), (1, 1, 1))),
        (9, 16, ((255, 0, 0), (0, 64, 255), (132, 132, 132), (1, 1, 1))),
        (1, 18, ((187, 97, 47), (45, 93, 180), (99, 99, 99), (5, 5, 5))),
    ],
)
def test_an_avif_has_the_colours_that_its_code_points_state(
    primaries: int, transfer: int, colours: tuple[tuple[int, ...], ...]
) -> None:
    assert shown(drawn(primaries, transfer)) == near(*colours)


@pytest.mark.parametrize("points", [(1, 13), (1, 1), (1, 6), (2, 2), (3, 13), (99, 13), (12, 3), (12, 99), (0, 0)])
def test_an_avif_of_srgb_or_of_no_known_colours_is_shown_as_it_is(points: tuple[int, int]) -> None:
    assert shown(drawn(*points)) == near(*COLOURS)


def test_a_profile_in_an_avif_counts_more_than_its_code_points() -> None:
    adobe = ((223, 121, 51), (0, 121, 203), (129, 129, 129), (12, 12, 12))

    assert shown(drawn(9, 16, icc_profile=rgb_profile("adobe"))) == near(*adobe)


def test_the_stream_of_an_avif_states_its_colours_if_no_box_does() -> None:
    assert shown(restate_colours(drawn(1, 13), 12, 13, in_stream=True)) == near(*P3_COLOURS)
    assert shown(restate_colours(drawn(1, 13), 2, 2)) == near(*COLOURS)


@pytest.mark.parametrize("in_stream", [False, True])
def test_every_frame_of_an_animation_has_the_colours_that_are_stated(*, in_stream: bool) -> None:
    frames = [patches(*COLOURS), patches(*COLOURS[::-1])]
    encoded = encode_image(
        frames[0], "avif", quality=100, subsampling="4:4:4", save_all=True, append_images=frames[1:], duration=50
    )

    original = restate_colours(encoded, 12, 13, in_stream=in_stream)
    played = decode_image(animate(original, edge=1600, limits=LIMITS, quality=100).content)

    for number, colours in enumerate((P3_COLOURS, P3_COLOURS[::-1])):
        played.seek(number)
        assert middles(played) == near(*colours, within=9)  # WebP halves the resolution of colour


@pytest.mark.parametrize(("nits", "level"), [(0, 213), (400, 249), (4000, 202)])
def test_the_brightest_pixel_of_an_avif_decides_how_it_is_tone_mapped(nits: int, level: int) -> None:
    white = replace(coded((PATCH, PATCH), (160, 160, 160)), properties=(nclx(9, 16), light_level(nits)))

    assert shown(avif(white), 1) == near((level, level, level))


def test_only_the_picture_that_is_shown_states_its_colours() -> None:
    base = replace(coded((PATCH, PATCH), COLOURS[0]), properties=(nclx(12, 13),))

    assert shown(gain_mapped(base, coded((PATCH, PATCH)), (9, 16)), 1) == near(P3_COLOURS[0], within=5)
    assert shown(avif(base, replace(base, properties=(nclx(9, 16),))), 1) == near(P3_COLOURS[0], within=5)


@pytest.mark.parametrize("box", [nclx(12, 13)[:14], b"\0\0\0\x0acolr\0\0", b"\0\0\0\x09clli\0", b"\0\0\0\x07colr"])
def test_damaged_statements_of_colour_are_ignored(box: bytes) -> None:
    picture = replace(coded((PATCH, PATCH)), properties=(struct.pack(">I", len(box)) + box[4:],))

    assert heif_colour_space(avif(picture)) in (None, ColourSpace("sRGB", "cicp"))


def test_an_avif_says_its_colour_space_and_where_it_is_stated() -> None:
    found = [
        open_image(original, limits=LIMITS).colour_space for original in (drawn(12, 13), drawn(9, 18), drawn(2, 2))
    ]

    assert [(space.name, space.source) for space in found] == [
        ("Display P3", "cicp"),
        ("BT.2020 HLG", "cicp"),
        ("sRGB", "none"),
    ]


def test_a_heic_has_the_colours_that_it_states_and_a_gain_map_changes_nothing() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    content = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64), COLOURS[0])).save(content, quality=95)
    encoded = content.getvalue()
    start, configuration = encoded.index(b"mdat") + 4, encoded.index(b"hvcC") - 4
    length = int.from_bytes(encoded[configuration : configuration + 4])
    picture = Item(encoded[start:], encoded[configuration : configuration + length], (64, 64), (nclx(12, 13),))

    assert shown(restate_colours(encoded, 12, 13), 1) == near(P3_COLOURS[0], within=4)
    assert shown(restate_colours(encoded, 9, 16), 1) == near((255, 0, 0), within=4)
    assert shown(gain_mapped(picture, picture, (9, 16), coding=b"hvc1"), 1) == near(P3_COLOURS[0], within=4)

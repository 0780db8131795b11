"""The frames of an APNG are those that browsers show: Chromium 156, where the specification leaves it open."""

from __future__ import annotations

import zlib

import pytest

from stages.animate import animate
from stages.errors import StageError
from stages.limits import Limits
from stages.normalize import normalize
from stages.validate import validate
from tests.support.apng import ApngFrame, announce, build_apng, plain_frame
from tests.support.images import build_png, chunk, decode_image, exif, grey_profile
from tests.unit.stages.frames import decode_frames

LIMITS = Limits()
RED, GREEN, BLACK = (250, 0, 0, 255), (0, 250, 0, 255), (0, 0, 0, 255)


def first_pixels(original: bytes) -> list[tuple[int, ...]]:
    """Return the first pixel of each frame."""
    pixels = [image.convert("RGBA").getpixel((0, 0)) for image in decode_frames(original)]
    return [pixel for pixel in pixels if isinstance(pixel, tuple)]


def still_pixel(original: bytes, at: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    pixel = normalize(original, edge=99, limits=LIMITS).image().convert("RGBA").getpixel(at)
    assert isinstance(pixel, tuple)
    return pixel


def test_the_still_is_the_first_frame_and_not_the_default_image() -> None:
    original = build_apng([plain_frame(RED), plain_frame(GREEN)], default=plain_frame(BLACK))

    assert still_pixel(original) == RED
    assert first_pixels(original) == [RED, GREEN]
    assert validate(original, limits=LIMITS).frames == 2


def test_a_first_frame_that_leaves_the_canvas_bare_shows_through() -> None:
    frames = [plain_frame(RED, (3, 3), place=(2, 2)), plain_frame(GREEN)]
    original = build_apng(frames, default=plain_frame(BLACK))

    assert (still_pixel(original), still_pixel(original, (3, 3))) == ((0, 0, 0, 0), RED)


def test_an_animation_of_one_frame_is_a_still_image() -> None:
    original = build_apng([plain_frame(RED)], default=plain_frame(BLACK))

    assert (still_pixel(original), validate(original, limits=LIMITS).frames) == (RED, 1)


def test_colours_and_orientation_are_those_of_the_whole_file() -> None:
    rows = [bytes(range(0, 240, 60))] * 2
    frames = [ApngFrame(rows, (4, 2)), ApngFrame(rows[::-1], (4, 2), blend=1)]
    profile = chunk(b"iCCP", b"linear\0\0" + zlib.compress(grey_profile(1.0)))
    turned = chunk(b"eXIf", exif(6, gps=False).removeprefix(b"Exif\0\0"))

    original = build_apng(frames, profile, turned, size=(4, 2), colour=0)

    facts = validate(original, limits=LIMITS)
    assert (facts.width, facts.height, facts.frames) == (2, 4, 2)
    assert still_pixel(original, (0, 1))[0] == pytest.approx(133, abs=2)  # 60 of 255 in linear light: IEC 61966-2-1
    moving = decode_image(animate(original, edge=4, limits=LIMITS).content).convert("RGB").getpixel((0, 1))
    assert moving == pytest.approx((133,) * 3, abs=9)


STILL, MOVED, DEFAULT = plain_frame(RED), plain_frame(GREEN), plain_frame(BLACK)
CONTROL, IMAGE = STILL.control(0), STILL.idat()
FIRST = CONTROL + IMAGE
SECOND, THIRD = MOVED.control(1) + MOVED.fdat(2), MOVED.control(3) + MOVED.fdat(4)
BAD_CHECKSUM = bytes(4)
PARTS = [
    chunk(b"fdAT", bytes((0, 0, 0, number)) + part)
    for number, part in ((2, MOVED.fdat(2)[12:20]), (3, MOVED.fdat(2)[20:-4]))
]


def small(size: tuple[int, int], place: tuple[int, int] = (0, 0), **options: int) -> bytes:
    """Build the control of a second frame."""
    return ApngFrame([], size, place, **options).control(1)  # type: ignore[arg-type]


ODD = {
    "too many frames are announced": (build_png(announce(2**31), FIRST, SECOND), [RED]),
    "two billion frames are announced": (build_png(announce(2**31 - 1), FIRST, SECOND), [RED, GREEN]),
    "fewer frames are announced": (
        build_png(announce(2), FIRST, SECOND, THIRD),
        [RED, GREEN],
    ),
    "one frame is announced": (build_png(announce(1), FIRST, SECOND), [RED]),
    "no frame is announced": (build_png(announce(0), FIRST, SECOND), [RED]),
    "nothing is announced": (build_png(FIRST, SECOND), [RED]),
    "it plays too often": (build_png(announce(2, 2**31), FIRST, SECOND), [RED]),
    "it is announced twice": (build_png(announce(2), announce(1), FIRST, SECOND), [RED, GREEN]),
    "it is announced behind the control": (build_png(CONTROL, announce(2), IMAGE, SECOND), [RED, GREEN]),
    "it is announced behind the pixels": (
        build_png(DEFAULT.idat(), announce(1), CONTROL, STILL.fdat(1)),
        [BLACK],
    ),
    "the announcement has a wrong checksum": (build_png(announce(2)[:-4] + BAD_CHECKSUM, FIRST, SECOND), [RED]),
    "the announcement is too long": (build_png(chunk(b"acTL", b"\0\0\0\2" + bytes(5)), FIRST, SECOND), [RED]),
    "no frame follows": (build_png(announce(2), DEFAULT.idat()), [BLACK]),
    "no control follows": (build_png(announce(2), DEFAULT.idat(), MOVED.fdat(0)), [BLACK]),
    "the first number is not 0": (build_png(announce(1), STILL.control(1), STILL.idat(), SECOND), [RED]),
    "the first control has a wrong checksum": (
        build_png(announce(2), CONTROL[:-4] + BAD_CHECKSUM + IMAGE, SECOND),
        [RED],
    ),
    "the first control is for a part": (build_png(announce(1), ApngFrame([], (4, 4)).control(0), IMAGE), [RED]),
    "frames come before the default image": (
        build_png(announce(1), CONTROL, STILL.fdat(1), DEFAULT.idat()),
        [BLACK],
    ),
    "the end is missing": (build_png(announce(2), FIRST, SECOND)[:-12], [RED, GREEN]),
    "the last checksums are missing": (build_png(announce(2), FIRST, SECOND)[: -12 - 8], [RED, GREEN]),
}
"""By what is odd: a file, and the pixel of each frame."""
AFTER_FIRST = {
    "no frame": (b"", 1),
    "pixels without a control": (MOVED.fdat(1), 1),
    "a control without pixels": (MOVED.control(1), 1),
    "a control that another one replaces": (small((1, 1)) + MOVED.control(2) + MOVED.fdat(3), 2),
    "a gap before the control": (MOVED.control(2) + MOVED.fdat(3), 1),
    "a gap before the pixels": (MOVED.control(1) + MOVED.fdat(3), 1),
    "a control with a wrong checksum": (MOVED.control(1)[:-4] + BAD_CHECKSUM + MOVED.fdat(2), 1),
    "a control that is too short": (chunk(b"fcTL", MOVED.control(1)[8:-5]) + MOVED.fdat(2), 1),
    "pixels that are too short for a number": (MOVED.control(1) + chunk(b"fdAT", bytes(3)), 1),
    "a frame beyond the canvas": (small((8, 8), (1, 0)) + MOVED.fdat(2), 1),
    "a frame without a size": (small((8, 0)) + MOVED.fdat(2), 1),
    "an unknown disposal": (small((8, 8), disposal=3) + MOVED.fdat(2), 1),
    "an unknown blending": (small((8, 8), blend=2) + MOVED.fdat(2), 1),
    "an unknown chunk that is necessary": (chunk(b"ABCD") + SECOND, 1),
    "a text and a palette": (chunk(b"tEXt", b"a\0b") + chunk(b"PLTE", bytes(3)) + SECOND, 2),
    "pixels in two chunks": (MOVED.control(1) + PARTS[0] + PARTS[1], 2),
    "a later default image": (SECOND + DEFAULT.idat(), 2),
}
"""By what comes behind the first of two frames: the chunks, and how many frames are shown."""
INCOMPLETE = {
    "pixels with a wrong checksum": (build_png(announce(2), FIRST, SECOND[:-4] + BAD_CHECKSUM), "image_corrupt"),
    "pixels cut short by the end": (build_png(announce(2), FIRST, SECOND)[: -12 - 9], "image_truncated"),
    "frames cut off by the end": (build_png(announce(3), FIRST, SECOND)[:-12], "image_truncated"),
}


@pytest.mark.parametrize(("original", "pixels"), ODD.values(), ids=ODD)
def test_an_odd_animation_shows_what_browsers_show(original: bytes, pixels: list[tuple[int, ...]]) -> None:
    assert first_pixels(original) == pixels
    assert still_pixel(original) == pixels[0]
    assert validate(original, limits=LIMITS).frames == len(pixels)


@pytest.mark.parametrize(("chunks", "frames"), AFTER_FIRST.values(), ids=AFTER_FIRST)
def test_frames_behind_what_breaks_the_rules_are_not_shown(chunks: bytes, frames: int) -> None:
    original = build_png(announce(2), FIRST, chunks)

    assert first_pixels(original) == [RED, GREEN][:frames]


@pytest.mark.parametrize(("original", "code"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_the_pixels_of_all_frames_must_be_there(original: bytes, code: str) -> None:
    with pytest.raises(StageError) as refusal:
        validate(original, limits=LIMITS)

    assert refusal.value.code == code


def test_a_later_frame_of_too_few_rows_is_refused_where_it_is_shown() -> None:
    short = ApngFrame(MOVED.rows[:-1])
    original = build_png(announce(2), FIRST, short.control(1), short.fdat(2))

    assert still_pixel(original) == RED
    with pytest.raises(StageError) as refusal:
        animate(original, edge=8, limits=LIMITS)
    assert refusal.value.code == "image_truncated"


@pytest.mark.parametrize(
    ("delay", "milliseconds"),
    [
        ((0, 0), 100),
        ((0, 100), 100),
        ((10, 1000), 100),
        ((21, 2000), 100),
        ((11, 1000), 11),
        ((3, 0), 30),
        ((5, 10), 500),
    ],
)
def test_a_delay_is_the_one_that_browsers_play(delay: tuple[int, int], milliseconds: int) -> None:
    original = build_apng([plain_frame(RED, delay=delay), plain_frame(GREEN, delay=delay)], plays=2)

    image = decode_image(animate(original, edge=8, limits=LIMITS).content)

    assert (image.info["duration"], image.info["loop"]) == (milliseconds, 2)

"""Animate keeps every frame, its duration and the number of plays; other stages use the first frame only."""

from __future__ import annotations

import pytest
from PIL import Image

from stages.animate import animate
from stages.errors import TooManyFrames
from stages.limits import Limits
from stages.normalize import normalize
from tests.support.avif import restate_duration
from tests.support.gifs import control, filled, gif
from tests.support.images import (
    animation,
    cutout,
    decode_image,
    draw_stored_grid,
    encode_image,
    exif,
)
from tests.support.webps import webp, webp_frame
from tests.unit.stages.frames import decode_frames

LIMITS = Limits()
COLOURS = ((230, 20, 20), (20, 200, 20), (20, 20, 230))


def frames_of(content: bytes) -> list[tuple[tuple[int, ...], int]]:
    image, found = decode_image(content), []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        pixel = image.convert("RGBA").getpixel((20, 12))
        assert isinstance(pixel, tuple)
        found.append((pixel, image.info["duration"]))
    return found


@pytest.mark.parametrize("name", ["gif", "webp", "png", "avif"])
def test_other_stages_use_the_first_frame(name: str) -> None:
    master = normalize(animation(name), edge=1600, limits=LIMITS)

    assert (master.mode, master.width, master.height) == ("RGB", 48, 32)
    assert master.image().getpixel((20, 20)) == pytest.approx(COLOURS[0], abs=8)


@pytest.mark.parametrize("output", ["webp", "gif"])
@pytest.mark.parametrize("name", ["gif", "webp", "png", "avif"])
def test_animate_keeps_frames_and_durations(name: str, output: str) -> None:
    rendition = animate(animation(name), edge=24, limits=LIMITS, format=output)  # type: ignore[arg-type]

    assert (rendition.width, rendition.height, rendition.format) == (24, 16, output)
    assert rendition.media_type == f"image/{output}"
    found = frames_of(rendition.content)
    assert [duration for _, duration in found] == [50, 60, 70]
    for (pixel, _), colour in zip(found, COLOURS, strict=True):
        assert pixel == pytest.approx((*colour, 255), abs=14)


@pytest.mark.parametrize(("name", "loop", "plays"), [("gif", 0, 0), ("gif", 2, 3), ("gif", None, 1), ("webp", 4, 4)])
def test_animate_keeps_the_number_of_plays(name: str, loop: int | None, plays: int) -> None:
    original = animation(name, loop=loop)

    assert decode_image(animate(original, edge=24, limits=LIMITS).content).info["loop"] == plays
    repeats = decode_image(animate(original, edge=24, limits=LIMITS, format="gif").content).info.get("loop")
    assert repeats == {0: 0, 1: None}.get(plays, plays - 1)


@pytest.mark.parametrize(
    ("repeats", "plays"), [(None, 0), (1, 1), (3, 3), (2.5, 3), (0.5, 1), (70_000, 65_535), (1e12, 0)]
)
def test_an_avif_plays_as_often_as_chromium_plays_it(repeats: float | None, plays: int) -> None:
    original = restate_duration(animation("avif"), repeats)

    assert decode_image(animate(original, edge=24, limits=LIMITS).content).info["loop"] == plays


def test_an_avif_plays_once_if_its_edit_list_is_not_repeated_and_for_ever_without_one() -> None:
    original = restate_duration(animation("avif"), None, is_repeated=False)

    once, endless = (
        animate(avif, edge=24, limits=LIMITS).content for avif in (original, original.replace(b"edts", b"free"))
    )

    assert decode_image(once).info["loop"] == 1
    assert decode_image(endless).info["loop"] == 0


@pytest.mark.parametrize("output", ["webp", "gif"])
def test_animate_keeps_transparent_pixels(output: str) -> None:
    moved = Image.new("RGBA", (96, 64))
    moved.paste(cutout().resize((48, 32)), (48, 32))
    original = encode_image(cutout().copy(), "webp", save_all=True, append_images=[moved], duration=[40, 50], loop=0)

    image = decode_image(animate(original, edge=96, limits=LIMITS, format=output).content)  # type: ignore[arg-type]
    image.seek(1)

    shown = image.convert("RGBA")
    assert shown.getpixel((30, 32))[3] == 0  # type: ignore[index]
    assert shown.getpixel((72, 48)) == pytest.approx((250, 20, 20, 255), abs=14)


def test_what_no_frame_of_a_webp_covers_is_transparent_whatever_its_header_says() -> None:
    dot = Image.new("RGB", (2, 2), (230, 20, 20))
    frames = (webp_frame((0, 0), dot, clears=True), webp_frame((2, 0), dot))
    original = webp((4, 2), *frames, background=0xFF0000FF)

    alpha = [[*image.convert("RGBA").getchannel("A").tobytes()[:4]] for image in decode_frames(original)]

    assert normalize(original, edge=9, limits=LIMITS).mode == "RGBA"
    assert alpha == [[255, 255, 0, 0], [0, 0, 255, 255]]  # as in Chromium 156


# As Chromium 156 plays them, measured by the time that 20 frames take. Its GIFs have hundredths of a second.
@pytest.mark.parametrize(
    ("name", "stored", "shown", "shown_as_gif"),
    [
        ("gif", [0, 10, 20, 30], [100, 100, 20, 30], [100, 100, 20, 30]),
        ("webp", [0, 5, 10, 11], [100, 100, 100, 11], [100, 100, 100, 20]),
        ("png", [0, 5, 10, 11], [100, 100, 100, 11], [100, 100, 100, 20]),
        ("avif", [1, 10, 11, 30], [100, 100, 11, 30], [100, 100, 20, 30]),
        ("webp", [33, 33, 33, 33], [33, 33, 33, 33], [30, 40, 30, 30]),
        ("webp", [700_000, 16_777_215, 50, 60], [700_000, 16_777_215, 50, 60], [655_350, 655_350, 50, 60]),
    ],
)
def test_a_frame_lasts_as_long_as_in_a_browser(
    name: str, stored: list[int], shown: list[int], shown_as_gif: list[int]
) -> None:
    original = animation(name, 4, duration=stored)

    assert [duration for _, duration in frames_of(animate(original, edge=24, limits=LIMITS).content)] == shown
    as_gif = animate(original, edge=24, limits=LIMITS, format="gif")
    assert [duration for _, duration in frames_of(as_gif.content)] == shown_as_gif


@pytest.mark.parametrize(("output", "longest"), [("gif", 655_350), ("webp", 40 * 655_350)])
def test_equal_frames_last_as_long_as_the_format_can_hold(output: str, longest: int) -> None:
    same = control(hundredths=65_535) + filled((0, 0, 24, 16), 1)
    original = gif(*[same] * 40, control(hundredths=5) + filled((0, 0, 9, 9), 2), screen=(24, 16))

    found = frames_of(animate(original, edge=24, limits=LIMITS, format=output).content)  # type: ignore[arg-type]

    assert longest * 0.97 <= sum(duration for _, duration in found[:-1]) <= longest


def test_animate_turns_frames_upright_and_drops_their_metadata() -> None:
    first, second = draw_stored_grid(6), draw_stored_grid(6).rotate(180)
    original = encode_image(first, "webp", save_all=True, append_images=[second], duration=40, exif=exif(6))

    rendition = animate(original, edge=1600, limits=LIMITS)

    assert (rendition.width, rendition.height) == (48, 32)
    assert b"EXIF" in original
    assert b"EXIF" not in rendition.content


@pytest.mark.parametrize("name", ["jpeg", "tiff", "png"])
def test_animate_accepts_a_still_image(name: str) -> None:
    rendition = animate(encode_image(draw_stored_grid(6), name, exif=exif(6)), edge=24, limits=LIMITS)

    assert (rendition.width, rendition.height) == (24, 16)


def test_animate_obeys_the_frame_limit() -> None:
    with pytest.raises(TooManyFrames):
        animate(animation("gif", 4), edge=24, limits=Limits(frames=3))

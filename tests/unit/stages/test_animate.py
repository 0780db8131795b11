"""Animate keeps every frame, its duration and the number of plays; other stages use the first frame only."""

from __future__ import annotations

import pytest
from PIL import Image

from stages.animate import animate
from stages.errors import StageError, TooManyFrames
from stages.limits import Limits
from stages.normalize import normalize
from tests.support.images import (
    animation,
    chunk,
    cutout,
    decode_image,
    draw_stored_grid,
    encode_image,
    exif,
    photo,
    png,
)

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


def test_animate_leaves_out_the_default_image_of_an_apng() -> None:
    pictures = [Image.new("RGB", (48, 32), colour) for colour in COLOURS]
    original = encode_image(photo(48, 32).copy(), "png", save_all=True, append_images=pictures, default_image=True)

    assert len(frames_of(animate(original, edge=48, limits=LIMITS).content)) == 3


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


def test_animate_refuses_a_broken_later_frame() -> None:
    promised = chunk(b"acTL", bytes((0, 0, 0, 2, 0, 0, 0, 0)))

    with pytest.raises(StageError):
        animate(png(1, 1, depth=8, colour=0, rows=[b"\0"], before=promised), edge=24, limits=LIMITS)


def test_a_first_frame_smaller_than_the_screen_is_composed() -> None:
    small = Image.new("P", (4, 4), 0)
    small.putpalette([200, 0, 0])
    content = bytearray(encode_image(small, "gif"))
    content[6:10] = (8).to_bytes(2, "little") * 2

    master = normalize(bytes(content), edge=1600, limits=LIMITS)

    assert (master.width, master.height) == (8, 8)

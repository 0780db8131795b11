"""Validate returns the facts of an original from its headers, and decodes nothing."""

from __future__ import annotations

import pytest
from PIL.PngImagePlugin import PngInfo

from stages.errors import ImageTooLarge, TooManyFrames
from stages.limits import Limits
from stages.normalize import normalize
from stages.validate import ImageFacts, StatedColours, validate
from tests.support.images import (
    CELL,
    GRID,
    animation,
    chunk,
    draw_stored_grid,
    encode_image,
    encode_oriented_grid,
    exif,
    pack_samples,
    photo,
    png,
    xmp,
)

SHOWN = (3 * CELL, 2 * CELL)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("jpeg", "RGB"), ("png", "RGB"), ("webp", "RGB"), ("tiff", "RGB"), ("bmp", "RGB"), ("avif", "RGB"), ("gif", "P")],
)
def test_validate_states_the_facts_of_every_format(name: str, mode: str) -> None:
    facts = validate(encode_image(photo(70, 30), name), limits=Limits())

    assert facts == ImageFacts(
        format=name,
        width=70,
        height=30,
        mode=mode,
        frames=1,
        orientation=1,
        bit_depth=8,
        colour_space=StatedColours(name="sRGB", source="cicp" if name == "avif" else "none"),
        has_alpha=False,
        has_gps=False,
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "avif"])
def test_validate_measures_the_image_as_displayed(name: str, orientation: int) -> None:
    facts = validate(encode_oriented_grid(name, orientation), limits=Limits())

    assert (facts.width, facts.height, facts.orientation) == (*SHOWN, orientation)


@pytest.mark.parametrize("name", ["jpeg", "png", "tiff", "webp", "avif"])
def test_the_orientation_in_xmp_is_ignored(name: str) -> None:
    options: dict[str, object] = {"xmp": xmp(6)}
    if name == "tiff":
        options = {"tiffinfo": {700: xmp(6)}}
    if name == "png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp(6).decode())
        options = {"pnginfo": info}
    original = encode_image(draw_stored_grid(1), name, **options)

    facts = validate(original, limits=Limits())

    assert (facts.width, facts.height, facts.orientation) == (*SHOWN, 1)
    master = normalize(original, edge=1600, limits=Limits())
    assert (master.width, master.height) == SHOWN
    assert master.image().getpixel((CELL // 2, CELL // 2)) == pytest.approx(GRID[0][0], abs=6)


def test_the_exif_behind_the_pixels_of_a_png_does_not_turn_it() -> None:
    rows = [bytes(3)] * 5
    original = png(3, 5, depth=8, colour=0, rows=rows, after=chunk(b"eXIf", exif(6).removeprefix(b"Exif\0\0")))

    facts = validate(original, limits=Limits())

    assert (facts.width, facts.height, facts.orientation) == (3, 5, 1)
    assert normalize(original, edge=1600, limits=Limits()).width == 3


@pytest.mark.parametrize("block", [b"Exif\0\0", b"Exif\0\0rubbish", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(9), exif(0)])
def test_a_broken_exif_block_means_upright(block: bytes) -> None:
    assert validate(encode_image(photo(), "jpeg", exif=block), limits=Limits()).orientation == 1


def test_exif_that_cannot_be_read_means_upright() -> None:
    profile = chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 4\nnot hex\n")

    assert validate(png(1, 1, depth=8, colour=0, rows=[b"\0"], before=profile), limits=Limits()).orientation == 1


@pytest.mark.parametrize("name", ["gif", "webp", "png", "avif"])
def test_validate_counts_frames(name: str) -> None:
    assert validate(animation(name, 4), limits=Limits()).frames == 4


def test_the_pages_of_a_tiff_are_not_frames() -> None:
    original = encode_image(photo(), "tiff", save_all=True, append_images=[photo().copy()])

    assert validate(original, limits=Limits(frames=1)).frames == 1


@pytest.mark.parametrize("name", ["gif", "webp", "png", "avif"])
def test_an_animation_over_the_limits_is_refused_if_its_frames_are_wanted(name: str) -> None:
    original = animation(name, 4, size=(10, 10))

    validate(original, limits=Limits(frames=4, animation_pixels=400), animated=True)
    with pytest.raises(TooManyFrames, match="has 4 frames; at most 2 "):
        validate(original, limits=Limits(frames=2, animation_pixels=100), animated=True)
    with pytest.raises(ImageTooLarge, match="has 400 pixels in all its frames together; at most 250 "):
        validate(original, limits=Limits(animation_pixels=250), animated=True)


@pytest.mark.parametrize("name", ["gif", "webp", "png", "avif"])
def test_an_animation_over_the_limits_gives_a_still(name: str) -> None:
    original, limits = animation(name, 4, size=(10, 10)), Limits(frames=3, animation_pixels=399)

    assert validate(original, limits=limits).frames == 4
    assert normalize(original, edge=1600, limits=limits).width == 10


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "bmp", "avif", "gif"])
def test_a_still_over_the_limits_is_refused(name: str) -> None:
    original = encode_image(photo(40, 20), name)

    validate(original, limits=Limits(pixels=800, side=40))
    with pytest.raises(ImageTooLarge):
        validate(original, limits=Limits(pixels=799))
    with pytest.raises(ImageTooLarge):
        validate(original, limits=Limits(side=39))


def test_validate_reads_no_pixel() -> None:
    undecodable = png(4, 4, depth=16, colour=0, rows=[pack_samples(1)])  # a quarter of a row

    assert validate(undecodable, limits=Limits()).mode == "I;16"

"""Chromium as an oracle: what it tells of a file is what it shows of it on a page."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest
from PIL import Image

from stages.limits import Limits
from tests.support.images import animation, cutout, draw_colour_grid, encode_image, encode_oriented_grid, photo
from tests.tools.pixels.child_program import ReadOptions
from tests.tools.pixels.chromium_program import ChromiumProgram, find_browser
from tests.tools.pixels.reading import REFUSED, Reading

OPTIONS = ReadOptions(edge=4096, preview_edges=(160,), limits=Limits(), timeout=20, jobs=1)
LARGE = (3000, 2000)  # is averaged in the page, in two bands
CONTENTS = {
    "turned.png": encode_oriented_grid("png", 8),
    "cutout.png": encode_image(cutout()),
    "animation.gif": animation("gif"),
    "large.png": encode_image(Image.linear_gradient("L").resize(LARGE)),
    "cut.png": encode_image(photo())[:-4000],
    "page.tiff": encode_image(photo(), "tiff"),
}


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Reading]:
    """What Chromium reads of each file."""
    browser, folder = find_browser(), tmp_path_factory.mktemp("pixels")
    if browser is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium is not on PATH")
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    with ChromiumProgram(browser, OPTIONS) as chromium:
        return {file.name: reading for file, reading in chromium.read(folder / name for name in CONTENTS)}


def test_an_image_is_read_upright(readings: Mapping[str, Reading]) -> None:
    reading = readings["turned.png"]

    assert (reading.width, reading.height, reading.is_partial) == (*draw_colour_grid().size, False)
    assert [view.tobytes() for view in reading.views] == [draw_colour_grid().tobytes()] * 2


def test_the_background_shows_where_an_image_is_transparent(readings: Mapping[str, Reading]) -> None:
    black, white = readings["cutout.png"].views

    assert (black.getpixel((0, 0)), white.getpixel((0, 0))) == ((0, 0, 0), (255, 255, 255))
    assert black.getpixel((48, 32)) == white.getpixel((48, 32)) == (250, 20, 20)


def test_of_an_animation_the_first_frame_is_read(readings: Mapping[str, Reading]) -> None:
    assert readings["animation.gif"].views[0].getpixel((20, 20)) == (230, 20, 20)


def test_a_large_image_is_averaged_in_the_page(readings: Mapping[str, Reading]) -> None:
    reading = readings["large.png"]
    expected = Image.linear_gradient("L").resize(LARGE).resize((1500, 1000), Image.Resampling.BOX)

    assert (reading.width, reading.height) == LARGE
    assert reading.views[0].size == LARGE  # at --edge 4096
    rows = reading.views[0].resize((1, 1000), Image.Resampling.BOX).convert("L").tobytes()
    assert max(abs(one - two) for one, two in zip(rows, expected.crop((0, 0, 1, 1000)).tobytes(), strict=True)) <= 1


def test_a_part_of_an_image_is_told_from_the_whole_and_from_nothing(readings: Mapping[str, Reading]) -> None:
    assert (readings["cut.png"].is_shown, readings["cut.png"].is_partial) == (True, True)
    assert (readings["page.tiff"].is_shown, readings["page.tiff"].code) == (False, REFUSED)

"""The picture of a TIFF is its first page that is no thumbnail; a camera's raw file is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stages.errors import UnsupportedFormat
from stages.limits import Limits
from stages.normalize import normalize
from stages.validate import validate
from tests.support.tiff import TiffPage, write_tiff

ROWS = [[(10 * x, 20 * y, 90) for x in range(9)] for y in range(7)]


def pixels_of(original: bytes) -> list[object]:
    return list(normalize(original, edge=1600, limits=Limits()).image().get_flattened_data())


THUMBNAIL = TiffPage(rows=[[(9, 9, 9)] * 4] * 3, tags={254: [1]})
PICTURE = TiffPage(rows=ROWS)


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize(
    "pages",
    [
        [THUMBNAIL, PICTURE],
        [THUMBNAIL, replace(THUMBNAIL, tags={254: [5]}), PICTURE],
        [replace(THUMBNAIL, tags={255: [2]}), replace(PICTURE, tags={255: [1]})],
        [replace(THUMBNAIL, below=[THUMBNAIL, PICTURE])],
        [replace(PICTURE, below=[THUMBNAIL]), THUMBNAIL],
        [PICTURE, replace(PICTURE, rows=[[(9, 9, 9)] * 99] * 9)],
    ],
)
def test_the_picture_is_the_first_page_that_is_no_thumbnail(pages: list[TiffPage], order: str, big: bool) -> None:
    assert pixels_of(write_tiff(*pages, order=order, big=big)) == [pixel for row in ROWS for pixel in row]


def test_a_thumbnail_alone_is_the_picture() -> None:
    assert pixels_of(write_tiff(THUMBNAIL, THUMBNAIL)) == [(9, 9, 9)] * 12


def test_a_chain_of_thumbnails_ends() -> None:
    original = bytearray(write_tiff(THUMBNAIL))
    original[-4:] = original[4:8]  # the next page is the first again

    assert pixels_of(bytes(original)) == [(9, 9, 9)] * 12


SENSOR = TiffPage(photometric=32_803, bits=16, rows=[[(1,)] * 8] * 8)
RAW_FILES = {
    "DNG": write_tiff(replace(THUMBNAIL, tags={254: [1], 50_706: b"\1\4\0\0"}, below=[SENSOR])),
    "linear DNG": write_tiff(replace(PICTURE, photometric=34_892)),
    "NEF": write_tiff(replace(THUMBNAIL, below=[PICTURE, SENSOR])),
    "PEF": write_tiff(SENSOR, THUMBNAIL),
    "sensor data behind a thumbnail": write_tiff(THUMBNAIL, SENSOR),
    "CR2": b"II*\0\x10\0\0\0CR\2\0" + write_tiff(PICTURE)[12:],
}


@pytest.mark.parametrize("original", RAW_FILES.values(), ids=RAW_FILES)
def test_a_raw_file_is_refused_as_raw(original: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match="camera's raw file"):
        validate(original, limits=Limits())


def test_pixels_that_begin_like_a_raw_file_do_not_make_one() -> None:
    original = write_tiff(TiffPage(rows=[[(67, 82, 2), (0, 1, 2)]]))

    assert original[8:12] == b"CR\2\0"
    assert pixels_of(original) == [(67, 82, 2), (0, 1, 2)]

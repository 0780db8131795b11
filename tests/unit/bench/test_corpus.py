"""The photos of a benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.images import decode_image, draw_colour_grid, encode_image, exif, photo, rgb_profile
from tests.tools.bench.corpus import SIZE_BY_MEGAPIXELS, TINY, Corpus, draw_photo


def test_a_drawn_photo_is_the_same_every_time_but_for_its_grain() -> None:
    one, again, other = (draw_photo(index, (256, 192)).reduce(32).tobytes() for index in (1, 1, 2))

    assert max(abs(x - y) for x, y in zip(one, again, strict=True)) < 8
    assert max(abs(x - y) for x, y in zip(one, other, strict=True)) > 32


def test_given_photos_are_brought_to_the_size_of_a_set(tmp_path: Path) -> None:
    (tmp_path / "holiday.png").write_bytes(encode_image(draw_colour_grid()))
    (tmp_path / "notes.txt").write_text("no photo")

    (made,) = Corpus(tmp_path).photos("1")

    assert decode_image(made).size == SIZE_BY_MEGAPIXELS[1]
    assert decode_image(made).format == "JPEG"


def test_a_folder_without_photos_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no photo"):
        Corpus(tmp_path)


def test_tiny_photos_are_tiny() -> None:
    assert decode_image(Corpus().photos("tiny")[0]).size == TINY


def test_pictures_keep_their_shape_and_carry_nothing_but_pixels(tmp_path: Path) -> None:
    (tmp_path / "wide.jpg").write_bytes(
        encode_image(photo(200, 100), "jpeg", exif=exif(6), icc_profile=rgb_profile("p3"))
    )

    drawn, given = Corpus().pictures(2, 40), Corpus(tmp_path).pictures(None, 40)

    assert [picture.size for picture in drawn] == [(40, 30)] * 2
    assert [(picture.size, picture.info) for picture in given] == [((20, 40), {})]

"""What `./run bench encoders` makes of a picture: bytes, likeness, shares of the JPEG's, and equal qualities."""

from __future__ import annotations

import pytest

from stages.formats import DEFAULT_QUALITY, encode
from tests.support.images import photo
from tests.tools.bench.corpus import draw_photo
from tests.tools.bench.encoders import JPEG, REFERENCE, SETTINGS, Setting, decode, match_quality, measure
from tests.tools.bench.scenarios.encoders import compare
from tests.tools.bench.similarity import ssim


def test_every_setting_has_a_name_of_its_own_and_can_be_encoded_with() -> None:
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    assert {decode(setting.encode(photo())).size for setting in SETTINGS} == {photo().size}


def test_a_setting_without_options_is_the_one_in_use() -> None:
    assert Setting("webp").encode(photo()) == encode(photo(), "webp")


def test_shares_are_those_of_the_reference() -> None:
    small = Setting("jpeg", JPEG | {"quality": 30})

    found = compare([draw_photo(1, (160, 120)), draw_photo(2, (160, 120))], [REFERENCE, small])

    assert found[REFERENCE.name]["bytes_share"] == 1.0
    assert found[small.name]["bytes_share"] < 1.0
    assert found[small.name]["ssim_least"] <= found[small.name]["ssim"] < found[REFERENCE.name]["ssim"]


def test_a_lossless_setting_is_as_alike_as_can_be() -> None:
    assert measure(photo(), Setting("png")).ssim == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_the_quality_found_is_the_lowest_as_alike_as_wanted(name: str) -> None:
    picture = draw_photo(3, (160, 120))
    wanted = ssim(picture, decode(encode(picture, "jpeg", DEFAULT_QUALITY["jpeg"])))

    found = match_quality(picture, name, wanted)

    assert ssim(picture, decode(encode(picture, name, found))) >= wanted
    assert ssim(picture, decode(encode(picture, name, found - 5))) < wanted

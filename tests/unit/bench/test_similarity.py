"""How alike two pictures are, and how close the stages come to the best that can be made."""

from __future__ import annotations

from math import inf

import pytest
from PIL import Image, ImageFilter

from tests.support.images import encode_image, exif, photo, rgb_profile
from tests.tools.bench.corpus import draw_photo
from tests.tools.bench.scenarios.quality import compare_previews
from tests.tools.bench.similarity import psnr, ssim


def test_a_picture_is_like_itself() -> None:
    assert ssim(photo(), photo()) == pytest.approx(1.0)
    assert psnr(photo(), photo()) == inf


def test_of_two_flat_greys_only_their_lightness_counts() -> None:
    dark, light = Image.new("RGB", (16, 16), (100, 100, 100)), Image.new("RGB", (16, 16), (110, 110, 110))

    expected = (2 * 100 * 110 + 6.5025) / (100**2 + 110**2 + 6.5025)  # equation 13 without variance

    assert ssim(dark, light) == pytest.approx(expected, abs=1e-5)
    assert psnr(dark, light) == pytest.approx(28.13, abs=0.01)  # 10 log10(255² / 10²)


def test_a_blurred_picture_is_less_like_it_than_a_slightly_blurred_one() -> None:
    blurred, slightly = (photo().filter(ImageFilter.GaussianBlur(radius)) for radius in (3, 0.5))

    assert ssim(photo(), blurred) < ssim(photo(), slightly) < 0.99


def test_pictures_of_other_sizes_are_not_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        ssim(photo(64, 64), photo(64, 48))


@pytest.mark.parametrize("orientation", [1, 6])
def test_every_preview_is_nearly_the_best_that_can_be_made(orientation: int) -> None:
    picture = draw_photo(3, (1000, 750))  # a quarter of a phone's, and so are the previews: what is done is the same
    wide = rgb_profile("adobe")
    original = encode_image(picture, "jpeg", quality=90, exif=exif(orientation), icc_profile=wide)

    found = compare_previews(original, edges=(40, 160, 400))

    assert sorted(found) == [40, 160, 400]
    assert min(pixels for pixels, *_ in found.values()) >= 0.98
    assert min(sent for _, _, sent, _ in found.values()) >= 0.95

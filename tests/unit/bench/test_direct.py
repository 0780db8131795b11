"""The stages alone, as `./run bench direct` times them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.support.images import encode_image
from tests.tools.bench.corpus import draw_photo
from tests.tools.bench.direct_own import SPECS, Clock, make_previews
from tests.tools.bench.tools_environment import install_packages


def test_the_stages_make_the_three_previews_and_their_times_are_told_apart(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encode_image(draw_photo(1, (800, 600)), "jpeg"))
    clock = Clock()

    make_previews(photo, clock)

    sides = {name: _longest_side(tmp_path / f"photo.{name}.preview") for name in SPECS}
    assert sides == {"small": 160, "medium": 640, "large": 800}
    assert list(clock.ms) == ["validate", "normalize", "resizes"]
    assert all(ms >= 0 for ms in clock.ms.values())


def _longest_side(file: Path) -> int:
    with Image.open(file) as image:
        return max(image.size)


def test_packages_that_are_there_are_not_installed_again(tmp_path: Path) -> None:
    (tmp_path / "vips").mkdir()
    (tmp_path / "vips/installed").write_text("one==1\ntwo==2")

    assert install_packages("vips", "one==1", "two==2", folder=tmp_path) == tmp_path / "vips/bin"

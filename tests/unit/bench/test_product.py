"""What `./run bench presets` asks for, and how it compares the files that come of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pipeline.preset_settings import PresetLimits
from pipeline.presets.loading import read_files
from stages.formats import encode
from stages.limits import Limits
from tests.tools.bench.corpus import draw_photo
from tests.tools.bench.product import (
    EDGE,
    FILES,
    NAME,
    SIDES,
    ZOOM,
    check_files,
    compare_card,
    find_crop,
    list_urls,
    write_preset,
)

OFFSET = 37


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """What a system makes of a plain photo."""
    formats = {"avif": "avif", "webp": "webp", ".jpg": "jpeg"}
    made = {name: encode(Image.new("RGB", (side, side)), formats[name[-4:]]) for name, side in SIDES.items()}
    return made | {ZOOM: encode(Image.new("RGB", (EDGE, 1500)), "jpeg")}


def test_darkroom_accepts_the_preset_with_its_logo(tmp_path: Path) -> None:
    loaded = read_files(str(write_preset(tmp_path)), limits=PresetLimits(), image_limits=Limits())

    assert set(loaded.presets[NAME].assets) == {"logo.png"}


def test_a_crop_is_found_where_it_was_cut_out() -> None:
    whole = draw_photo(2, (320, 240))

    assert find_crop(whole, whole.crop((OFFSET, 0, OFFSET + 240, 240))) == (OFFSET, 0, OFFSET + 240, 240)


def test_a_crop_is_compared_with_what_it_shows() -> None:
    whole = draw_photo(2, (320, 240))
    part = whole.crop((OFFSET, 0, OFFSET + 240, 240))

    good, poor = (compare_card(whole, encode(part, "jpeg", quality)) for quality in (95, 20))

    assert good.bytes > poor.bytes
    assert good.ssim > 0.97 > poor.ssim


def test_all_files_at_their_sizes_pass(files: dict[str, bytes]) -> None:
    check_files(files)


def test_a_missing_file_and_a_wrong_size_are_errors(files: dict[str, bytes]) -> None:
    without = {name: content for name, content in files.items() if name != ZOOM}

    with pytest.raises(RuntimeError, match="the files are"):
        check_files(without)
    with pytest.raises(RuntimeError, match=r"card\.jpg.*800"):
        check_files(files | {"card.jpg": files["card@2x.jpg"]})


def test_files_are_named_by_rendition_density_and_format() -> None:
    formats, densities = ("avif", "webp", "jpeg"), (1, 2)
    variants = [{"format": name, "dpr": dpr, "url": f"/{name}/{dpr}"} for name in formats for dpr in densities]
    zoom = [{"format": "jpeg", "dpr": 1, "url": "/zoom"}]

    found = dict(list_urls({"renditions": {"card": {"variants": variants}, "zoom": {"variants": zoom}}}))

    assert set(found) == set(FILES)
    assert found["card@2x.jpg"] == "/jpeg/2"

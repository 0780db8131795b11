"""What `./run bench presets` asks for, and how it compares the files that come of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pipeline.preset_settings import PresetLimits
from pipeline.presets.loading import read_files
from stages.limits import Limits
from tests.support.images import encode_image
from tests.tools.bench.corpus import draw_photo
from tests.tools.bench.product import (
    EDGE,
    FILES,
    NAME,
    SIDES,
    ZOOM,
    check_files,
    compare_files,
    draw_zoom,
    find_crop,
    list_urls,
    write_preset,
)

OFFSET = 37


@pytest.fixture(scope="module")
def original() -> Image.Image:
    return draw_photo(1, (EDGE, 1500))


@pytest.fixture(scope="module")
def files(original: Image.Image) -> dict[str, bytes]:
    """What a perfect system makes, its crop not in the middle."""
    made = {ZOOM: encode_image(draw_zoom(original), "jpeg", quality=95)}
    for name, side in SIDES.items():
        scaled = original.resize((side * 4 // 3, side), Image.Resampling.LANCZOS)
        crop = scaled.crop((OFFSET, 0, OFFSET + side, side))
        made[name] = encode_image(crop, {"jpg": "jpeg"}.get(name[-3:], name[-4:]), quality=95)
    return made


def test_darkroom_accepts_the_preset_with_its_logo(tmp_path: Path) -> None:
    loaded = read_files(str(write_preset(tmp_path)), limits=PresetLimits(), image_limits=Limits())

    assert set(loaded.presets[NAME].assets) == {"logo.png"}


def test_a_crop_is_found_where_it_was_cut_out() -> None:
    whole = draw_photo(2, (320, 240))

    assert find_crop(whole, whole.crop((OFFSET, 0, OFFSET + 240, 240))) == (OFFSET, 0, OFFSET + 240, 240)


def test_files_of_a_perfect_system_pass_and_look_like_the_photo(original: Image.Image, files: dict[str, bytes]) -> None:
    check_files(files)

    found = compare_files(encode_image(original), files)

    assert set(found) == set(FILES)
    assert min(each.ssim for each in found.values()) > 0.95
    assert found[ZOOM].bytes == len(files[ZOOM])


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

"""The image files that presets name: which are taken, and where they must be."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.images import encode_image, photo
from tests.unit.pipeline.presets.test_mistakes import find_mistakes, load

PLACE = "a.toml:2: product.renditions.zoom.watermark.image"
LOGO = encode_image(photo(8, 8), "png")


def marked(image: str) -> str:
    return f'[product.renditions]\nzoom = {{ edge = 100, watermark = {{ image = "{image}" }} }}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside.png").write_bytes(LOGO)
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "logo.png").write_bytes(LOGO)
    (folder / "text.png").write_text("no image", encoding="utf-8")
    (folder / "large.png").write_bytes(LOGO + bytes(2 * 1024 * 1024))
    (folder / "link.png").symlink_to("../outside.png")
    (folder / "same.png").symlink_to("logo.png")
    return folder


@pytest.mark.parametrize("name", ["logo.png", "same.png"])
def test_an_image_beside_the_file_is_an_asset_of_its_preset(folder: Path, name: str) -> None:
    loaded = load(folder, marked(name))

    digest = sha256(LOGO).hexdigest()
    assert loaded.presets["product"].assets == {name: digest}
    assert loaded.assets == {digest: LOGO}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.png", "none.png: The file cannot be read: no such file or directory."),
        ("link.png", "link.png: The file is a link to a place outside the folder of the presets."),
        ("large.png", "large.png: The file is larger than 2,097,152 bytes."),
        ("a.toml", "a.toml: The file is not an image in one of the accepted formats:"),
        ("text.png", "text.png: The file is not an image in one of the accepted formats:"),
        ("../outside.png", "../outside.png: It should be the name of a file beside the presets: letters, digits,"),
        ("/etc/passwd", "/etc/passwd: It should be the name of a file beside the presets: letters, digits,"),
        (".", ".: It should be the name of a file beside the presets: letters, digits,"),
    ],
)
def test_other_images_are_mistakes(folder: Path, name: str, message: str) -> None:
    (mistake,) = find_mistakes(folder, marked(name))

    assert mistake.startswith(f"{PLACE}: {message}")

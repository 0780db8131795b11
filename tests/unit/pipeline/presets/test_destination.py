"""The destination of a preset: its mistakes, its part in the version, and what a job stores of it."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from pathlib import Path

import pytest

from pipeline.preset_settings import PresetLimits
from pipeline.presets.definition import PresetDefinition
from pipeline.presets.loading import read_files
from pipeline.presets.mistakes import PresetMistakes
from pipeline.presets.preset import Preset, default_preset
from stages.limits import Limits
from storage.documents import DestinationReference, Operation
from tests.unit.pipeline.presets.test_versions import PRODUCT, version

SHOP = 'destination = { name = "shop", key = "{metadata.sku}/{rendition}{dpr}.{ext}" }\n'
CACHED = SHOP.replace(" }\n", ', cache_control = "no-cache" }\n')
PLAIN = "renditions.card.edge = 1"
UNKNOWN_NAME = "The name of a destination is a small letter, and then at most 31 small letters, digits, - and _."


def find_mistakes(folder: Path, body: str, destinations: Collection[str] | None = ("shop",)) -> list[str]:
    """Return the mistakes in a preset with this body, which begins in line 2."""
    (folder / "a.toml").write_text(f"[product]\n{body}\n", encoding="utf-8")
    try:
        read_files(str(folder / "a.toml"), limits=PresetLimits(), image_limits=Limits(), destinations=destinations)
    except PresetMistakes as error:
        return [str(mistake).removeprefix("a.toml:") for mistake in error.mistakes]
    return []


def destination(key: str, **others: str) -> str:
    parts = {"name": "shop", "key": key} | others
    return "destination = {" + ", ".join(f'{name} = "{value}"' for name, value in parts.items()) + "}\n"


@pytest.mark.parametrize(
    "body",
    [
        f"{SHOP}{PLAIN}",
        f"{CACHED}{PLAIN}",
        f"{destination('{metadata.sku}')}{PLAIN}",
        f"{destination('{sha256}')}[product.renditions.a]\nedge = 1\ndpr = [1, 2]\n[product.renditions.b]\nedge = 2",
        f"{destination('{rendition}.{ext}')}[product.renditions.a]\nedge = 1\n[product.renditions.b]\nedge = 2",
    ],
)
def test_what_is_right_has_no_mistakes(tmp_path: Path, body: str) -> None:
    assert find_mistakes(tmp_path, body) == []


HEADER = "It should be the value of a header, in ASCII: public, max-age=31536000, immutable."
TWO = "A key does not begin with a slash. A key has no .. and no part that is a dot; {dpr} may be empty."


@pytest.mark.parametrize(
    ("body", "path", "sentence"),
    [
        ('destination = "shop"', "", "It should be a table, not 'shop'."),
        ('destination = { name = "shop" }', ".key", "It is missing."),
        ('destination = { key = "a" }', ".name", "It is missing."),
        (destination("a", cache_controll="x"), ".cache_controll", "There is no such name. Did you mean cache_control?"),
        (destination("a", name="Shop 1"), ".name", UNKNOWN_NAME),
        (destination("{renditon}"), ".key", "There is no placeholder {renditon}. Did you mean rendition?"),
        (destination("/a//{rendition}/.."), ".key", TWO),
        (destination("a", cache_control=r"public\nX-Other: 1"), ".cache_control", HEADER),
        (destination("a", name="other"), ".name", "DARKROOM_DESTINATIONS has no other. Use one of: shop."),
        (destination("a", name="shp"), ".name", "DARKROOM_DESTINATIONS has no shp. Did you mean shop?"),
    ],
)
def test_a_mistake_has_a_line_a_path_and_a_sentence(tmp_path: Path, body: str, path: str, sentence: str) -> None:
    assert find_mistakes(tmp_path, f"{body.strip()}\n{PLAIN}") == [f"2: product.destination{path}: {sentence}"]


SEVERAL = {"rendition": "there are several renditions"}
FORMATS = {"ext": "a rendition has several formats"}
DENSITIES = {"dpr": "a rendition has several densities"}


@pytest.mark.parametrize(
    ("key", "needed"),
    [
        ("{task_id}", SEVERAL | FORMATS | DENSITIES),
        ("{rendition}.{ext}", DENSITIES),
        ("{rendition}{dpr}", FORMATS),
        ("{ext}/x{dpr}", SEVERAL),
        ("{rendition}{dpr}.{ext}", {}),
        ("{sha256}", {}),
    ],
)
def test_two_files_of_a_preset_cannot_have_one_key(tmp_path: Path, key: str, needed: dict[str, str]) -> None:
    body = f'{destination(key)}[product.renditions.a]\nedge = 1\nformats = ["webp", "jpeg"]\n[product.renditions.b]\n'

    assert find_mistakes(tmp_path, f"{body}edge = 2\ndpr = [1, 2]") == [
        f"2: product.destination.key: It needs {{{name}}}, or {{sha256}}: {reason}, and each file has a key of its own."
        for name, reason in needed.items()
    ]


def test_a_destination_is_a_mistake_where_there_are_none_and_is_not_looked_for_where_none_are_known(
    tmp_path: Path,
) -> None:
    body = f"{SHOP}{PLAIN}"

    assert find_mistakes(tmp_path, body, []) == [
        "2: product.destination.name: DARKROOM_DESTINATIONS has no shop. It is empty."
    ]
    assert find_mistakes(tmp_path, body, None) == []


def test_a_preset_without_a_destination_keeps_the_version_that_earlier_releases_gave_it() -> None:
    assert version(PRODUCT) == "8dccacd6104ff39d"
    assert default_preset({"small": 160, "medium": 640, "large": 1600}).version == "6053b6b74860fbd5"


def test_each_part_of_a_destination_makes_a_version_of_its_own() -> None:
    versions = {
        version(f"{each}{PRODUCT}")
        for each in ("", SHOP, CACHED, SHOP.replace("shop", "other"), SHOP.replace("{dpr}", "-{dpr}"))
    }

    assert len(versions) == 5


def test_a_job_stores_the_name_of_the_destination_and_the_template() -> None:
    preset = Preset("product", PresetDefinition.model_validate(tomllib.loads(f"{CACHED}{PRODUCT}")))

    stored = Operation.model_validate_json(preset.resolve({"background": "#000000"}).model_dump_json())

    assert stored.destination == DestinationReference(
        name="shop", key="{metadata.sku}/{rendition}{dpr}.{ext}", cache_control="no-cache"
    )
    assert not stored.requests_same(stored.model_copy(update={"destination": None}))

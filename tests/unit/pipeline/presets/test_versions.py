"""Versions of presets: the same for everything that makes the same results, another for every change of them."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.presets.definition import PresetDefinition
from pipeline.presets.preset import Preset, read_definition
from storage.documents import Operation
from tests.support.properties import EXAMPLES

PRODUCT = """
description = "A product in the shop."
fields = ["background"]
[renditions.card]
width = 400
height = 400
fit = "cover"
formats = ["webp", "jpeg"]
dpr = [1, 2]
quality = { webp = 75, jpeg = 80 }
background = "#ffffff"
[renditions.zoom]
edge = 2000
"""


def version(text: str, **assets: str) -> str:
    return version_of(tomllib.loads(text), **assets)


def stored(text: str) -> Operation:
    """Return what a job stores of the preset, as it is when it is read again."""
    operation = Preset("product", PresetDefinition.model_validate(tomllib.loads(text))).resolve({})
    return Operation.model_validate_json(operation.model_dump_json())


def version_of(table: dict[str, Any], **assets: str) -> str:
    return Preset("product", PresetDefinition.model_validate(table), assets).version


def shuffle(table: dict[str, Any], draw: st.DataObject) -> dict[str, Any]:
    """Return the table with its keys in another order, in each of its tables."""
    keys = draw.draw(st.permutations(sorted(table)))
    return {key: shuffle(table[key], draw) if isinstance(table[key], dict) else table[key] for key in keys}


@EXAMPLES
@given(st.data())
def test_the_order_of_names_makes_no_new_version(draw: st.DataObject) -> None:
    assert version_of(shuffle(tomllib.loads(PRODUCT), draw)) == version(PRODUCT)


@pytest.mark.parametrize(
    ("written", "otherwise"),
    [
        ("edge = 2000", "edge = 2_000 # pixels"),
        ("edge = 2000", 'edge = 2000\nfit = "inside"\nsteps = []\ndpr = [1]\nenlarge = false'),
        ("dpr = [1, 2]", "dpr = [2.0, 1]"),
        ('background = "#ffffff"', 'background = "white"'),
        ('background = "#ffffff"', 'background = "rgb(100%, 255, 255)"'),
        ("edge = 2000", "edge = 2000\nquality = {}"),
        ('fields = ["background"]', 'fields = ["quality", "format"]'),
        ("A product", "The product"),
    ],
)
def test_another_way_to_write_the_same_makes_no_new_version(written: str, otherwise: str) -> None:
    assert written in PRODUCT

    assert version(PRODUCT.replace(written, otherwise)) == version(PRODUCT)
    assert stored(PRODUCT.replace(written, otherwise)).requests_same(stored(PRODUCT))


@pytest.mark.parametrize(
    ("written", "otherwise"),
    [
        ("width = 400", "width = 401"),
        ('fit = "cover"', 'fit = "contain"'),
        ('["webp", "jpeg"]', '["jpeg", "webp"]'),
        ("dpr = [1, 2]", "dpr = [1, 3]"),
        ("jpeg = 80", "jpeg = 81"),
        ('"#ffffff"', '"#fffffe"'),
        ("edge = 2000", "edge = 2000\nenlarge = true"),
        ("renditions.zoom", "renditions.large"),
        ('description = "A product in the shop."', 'background = "#eeeeee"'),
    ],
)
def test_a_change_of_the_results_makes_a_new_version(written: str, otherwise: str) -> None:
    assert written in PRODUCT

    assert version(PRODUCT.replace(written, otherwise)) != version(PRODUCT)


def test_other_bytes_of_an_image_make_a_new_version() -> None:
    assert version(PRODUCT, **{"logo.png": "a" * 64}) != version(PRODUCT, **{"logo.png": "b" * 64})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("steps = [{ blur = 2 }]", "steps = [{ blur = { radius = 2.0 } }]"),
        ("steps = [{ blur = 2 }]", 'steps = ["blur"]'),
        ('steps = ["grayscale"]', "steps = [{ grayscale = {} }]"),
        ('watermark = { image = "logo.png" }', 'watermark = { size = 0.2, image = "logo.png" }'),
        ('watermark = { image = "logo.png" }', 'steps = [{ watermark = "logo.png" }]'),
        ('focus = "0.3,0.7"', 'focus = "0.30, 0.70"'),
        ("quality = 70", "quality = { webp = 70, avif = 70, jpeg = 70 }"),
    ],
)
def test_two_spellings_of_a_value_are_one_version(one: str, other: str) -> None:
    assert version(f"{PRODUCT}{one}") == version(f"{PRODUCT}{other}") != version(PRODUCT)
    assert stored(f"{PRODUCT}{one}").requests_same(stored(f"{PRODUCT}{other}"))


def test_a_job_stores_steps_that_make_the_same_results() -> None:
    parts = tomllib.loads(PRODUCT + 'steps = ["blur", { watermark = "logo.png" }]')
    preset = Preset("product", PresetDefinition.model_validate(parts))

    read = read_definition(preset.resolve({}), "zoom")

    assert read.spec() == preset.definition.renditions["zoom"].spec()


@given(radius=st.floats(0.1, 100), other=st.floats(0.1, 100))
def test_steps_with_other_parameters_are_other_versions(radius: float, other: float) -> None:
    versions = [version(f"{PRODUCT}steps = [{{ blur = {value!r} }}]") for value in (radius, other)]

    assert (versions[0] == versions[1]) == (radius == other)


def test_a_definition_is_read_once_and_is_that_of_what_is_stored() -> None:
    first, same, other = (
        Operation(renditions={"zoom": {"width": width, "formats": ["webp"]}}) for width in (100, 100, 200)
    )

    assert read_definition(first, "zoom") is read_definition(same, "zoom")
    assert read_definition(other, "zoom").width == 200


@pytest.mark.parametrize("stored", [{"width": 1, "shape": "round"}, {"width": datetime(2026, 1, 1, tzinfo=UTC)}])
def test_a_definition_of_another_version_is_refused_each_time(stored: dict[str, Any]) -> None:
    operation = Operation(renditions={"zoom": stored})

    for _ in range(2):
        with pytest.raises(ValidationError):
            read_definition(operation, "zoom")

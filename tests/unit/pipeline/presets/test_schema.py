"""The JSON Schema of files of presets: it takes what a load takes, and refuses what it can of the rest."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from pipeline.preset_settings import PresetLimits
from pipeline.presets.schema import build_schema
from stages.steps.table import STEPS
from tests.unit.pipeline.presets.test_mistakes import load

EXAMPLE = Path(__file__).resolve().parents[4] / "deploy" / "presets"


@pytest.fixture(scope="module")
def schema() -> jsonschema_rs.Draft202012Validator:
    document = build_schema(PresetLimits())
    jsonschema_rs.meta.validate(document)
    return jsonschema_rs.Draft202012Validator(document)


def rendition(body: str) -> dict[str, Any]:
    return tomllib.loads(f"[product.renditions.card]\n{body}")


def test_the_example_is_right_for_the_schema_and_for_a_load(schema: jsonschema_rs.Draft202012Validator) -> None:
    schema.validate(tomllib.loads((EXAMPLE / "example.toml").read_text(encoding="utf-8")))

    assert load(EXAMPLE).presets.keys() == {"product", "avatar", "hero"}


@pytest.mark.parametrize(
    "body",
    [
        "edge = 1",
        "width = 1",
        "edge = 1\nquality = 70",
        "edge = 1\nquality = { avif = 55 }",
        'edge = 1\nsteps = ["grayscale", "blur", { blur = 2 }, { blur = { radius = 2 } }, { grayscale = {} }]',
        'edge = 1\nwatermark = { image = "logo.png" }',
        'edge = 1\nbackground = "transparent"\ndpr = [1, 1.5]',
    ],
)
def test_what_a_load_takes_is_right(schema: jsonschema_rs.Draft202012Validator, body: str) -> None:
    schema.validate(rendition(body))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "edge = 0",
        "edge = 1\nwidth = 1",
        'edge = 1\nfit = "cover"',
        'edge = 1\nformats = ["jpg"]',
        "edge = 1\nformats = []",
        "edge = 1\ndpr = [1, 1]",
        "edge = 1\ndpr = [5]",
        "edge = 1\nquality = 101",
        "edge = 1\nquality = { png = 1 }",
        "edge = 1\nwidht = 1",
        'edge = 1\nsteps = ["greyscale"]',
        'edge = 1\nsteps = ["rotate"]',
        "edge = 1\nsteps = [{ blur = 0 }]",
        "edge = 1\nsteps = [{ blur = { raduis = 2 } }]",
        'edge = 1\nsteps = [{ blur = 2, flip = "x" }]',
        "edge = 1\nwatermark = {}",
    ],
)
def test_what_a_load_refuses_is_wrong(schema: jsonschema_rs.Draft202012Validator, body: str) -> None:
    assert not schema.is_valid(rendition(body))


def test_a_destination_is_right_with_a_name_and_a_key(schema: jsonschema_rs.Draft202012Validator) -> None:
    right = {"name": "shop", "key": "{metadata.sku}/{rendition}.{ext}"}

    def is_valid(destination: object) -> bool:
        return schema.is_valid({"product": {"destination": destination, "renditions": {"card": {"edge": 1}}}})

    assert is_valid(right)
    assert is_valid(right | {"cache_control": "no-cache"})
    wrong = ["shop", {"name": "shop"}, right | {"name": "Shop"}, right | {"key": ""}, right | {"url": "s3://bucket"}]
    assert [each for each in wrong if is_valid(each)] == []


@pytest.mark.parametrize("name", ["Product", "product-2", "x" * 33])
def test_wrong_names_are_wrong(schema: jsonschema_rs.Draft202012Validator, name: str) -> None:
    assert not schema.is_valid({name: {"renditions": {"card": {"edge": 1}}}})
    assert not schema.is_valid({"product": {"renditions": {name: {"edge": 1}}}})


def test_a_rendition_has_no_stages_name(schema: jsonschema_rs.Draft202012Validator) -> None:
    assert not schema.is_valid({"product": {"renditions": {"validate": {"edge": 1}}}})


def test_everything_in_the_schema_is_described() -> None:
    definitions = build_schema(PresetLimits())["$defs"]

    properties = {f"{of}.{name}": each for of, part in definitions.items() for name, each in part["properties"].items()}
    assert [name for name, each in properties.items() if not each.get("description")] == []
    assert {f"step_{name}" for name in STEPS} < definitions.keys()

"""The routes of presets: the list, one with its definition, its drawing, and the schema of their file."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import httpx
import pytest
from fastapi import FastAPI

from gateway.permission import Permission
from gateway.preset_example import draw_preset
from pipeline.presets.definition import PresetDefinition
from pipeline.presets.preset import Preset
from pipeline.presets.registry import Presets
from tests.support.presets import DEFINITIONS, EDGES, build_presets

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def presets(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.state, "presets", build_presets())


def draw(**renditions: object) -> ET.Element:
    definition = PresetDefinition.model_validate({"renditions": renditions})
    return ET.fromstring(draw_preset(Preset("product", definition)))  # noqa: S314  our own


def sizes(drawing: ET.Element, **attributes: str) -> list[tuple[float, float]]:
    """Return the width and height of each rectangle of the renditions with these attributes."""
    return [
        (float(each.attrib["width"]), float(each.attrib["height"]))
        for each in drawing.iterfind(f"{SVG}g/{SVG}rect")
        if attributes.items() <= each.attrib.items()
    ]


async def test_the_list_has_every_preset(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/presets")).json()["presets"]

    assert [preset["name"] for preset in listed] == sorted({"default", *DEFINITIONS})


@pytest.mark.parametrize("path", ["/presets", "/presets/product", "/capabilities"])
async def test_nobody_is_told_of_presets_that_are_not_loaded_yet(
    http: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(app.state, "presets", Presets(EDGES, is_ready=False))

    answer = await http.get(path)

    assert (answer.status_code, answer.json()["code"]) == (503, "presets_not_ready")


async def test_a_preset_says_what_it_makes(http: httpx.AsyncClient) -> None:
    preset = (await http.get("/presets/product")).json()

    assert preset["fields"] == ["background", "quality"]
    assert preset["renditions"]["card"] == {
        "edge": None,
        "width": 400,
        "height": 400,
        "fit": "cover",
        "formats": ["avif", "jpeg"],
        "dpr": [1],
        "steps": [],
    }
    assert preset["definition"]["renditions"]["card"]["quality"] == {"avif": 55}
    assert preset["links"] == {"self": "/presets/product", "example": "/presets/product/example.svg"}


@pytest.mark.parametrize("path", ["/presets/none", "/presets/none/example.svg"])
async def test_an_unknown_preset_is_not_found(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "preset_not_found")


def test_only_presets_that_the_caller_may_use_are_there() -> None:
    permission = Permission(presets=frozenset({"icons", "none"}))

    assert [preset.name for preset in permission.list_presets(build_presets())] == ["icons"]


async def test_a_drawing_is_safe_to_open(http: httpx.AsyncClient) -> None:
    answer = await http.get("/presets/product/example.svg")

    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_drawing_is_sent_again_only_when_it_changes(http: httpx.AsyncClient) -> None:
    etag = (await http.get("/presets/product/example.svg")).headers["etag"]

    assert (await http.get("/presets/product/example.svg", headers={"If-None-Match": etag})).status_code == 304
    assert (await http.get("/presets/icons/example.svg", headers={"If-None-Match": etag})).status_code == 200


def test_boxes_are_drawn_in_one_scale() -> None:
    drawing = draw(
        large={"width": 800, "height": 400, "fit": "fill"}, small={"width": 200, "height": 200, "fit": "fill"}
    )

    assert sizes(drawing, fill="none") == [(320, 160), (80, 80)]


@pytest.mark.parametrize(
    ("fit", "aspect", "outline"),
    [
        ("inside", "xMidYMid", (213.3, 142.2)),
        ("contain", "xMidYMid", (213.3, 213.3)),
        ("scale-down", "xMidYMid", (213.3, 213.3)),
        ("cover", "xMidYMid slice", (213.3, 213.3)),
        ("fill", "none", (213.3, 213.3)),
    ],
)
def test_a_drawing_shows_the_fit(fit: str, aspect: str, outline: tuple[int, int]) -> None:
    drawing = draw(card={"width": 300, "height": 300, "fit": fit}, scale={"width": 450, "height": 1})

    photo = drawing.find(f"{SVG}g/{SVG}svg")
    assert photo is not None
    assert photo.attrib["preserveAspectRatio"] == aspect
    assert sizes(drawing, stroke="#1f6feb")[0] == outline


def test_a_drawing_names_formats_densities_and_steps() -> None:
    drawing = draw(card={"edge": 300, "formats": ["avif", "jpeg"], "dpr": [2, 1], "steps": [{"blur": 2}, "grayscale"]})

    texts = [each.text for each in drawing.iterfind(f"{SVG}g/{SVG}text")]
    assert texts == ["card", "longest side 300 px", "avif, jpeg at 1x, 2x", "then blur, grayscale"]


async def test_the_schema_needs_no_key_and_has_the_limits(http: httpx.AsyncClient) -> None:
    answer = await http.get("/schemas/preset.json")

    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.json()["$defs"]["RenditionDefinition"]["properties"]["steps"]["maxItems"] == 10

"""What holds for every step: its parameters, and that it takes each kind of image and leaves the given one alone."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from pipeline.presets.steps import read_step
from stages.limits import Limits
from stages.steps.step import Step, StepContext
from stages.steps.table import STEPS
from tests.support.images import encode_image
from tests.support.properties import EXAMPLES
from tests.support.step_images import draw_cutout, draw_logo, draw_scene

ASSETS = {"logo.png": encode_image(draw_logo())}
NEEDED: dict[str, dict[str, Any]] = {
    "crop": {"aspect": [2, 1]},
    "resize": {"width": 5, "height": 4, "fit": "contain"},
    "rotate": {"degrees": 33},
    "watermark": {"image": "logo.png"},
}


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("name", STEPS)
@settings(EXAMPLES, max_examples=20)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    background=st.sampled_from(("#ffffff", "#c02020", "#ffffff00")),
    dpr=st.sampled_from((1, 1.5, 3)),
)
def test_a_step_takes_every_small_image(
    name: str, mode: str, size: tuple[int, int], background: str, dpr: float
) -> None:
    step = read_step({name: NEEDED.get(name, {})})
    image = Image.frombytes(mode, size, bytes(7 * n % 256 for n in range(len(mode) * size[0] * size[1])))
    before = image.tobytes()

    result = step.apply(image, StepContext(dpr=dpr, background=background, assets=ASSETS))

    assert result.mode in ("L", "LA", "RGB", "RGBA")
    assert (image.mode, image.tobytes()) == (mode, before)


@pytest.mark.parametrize("name", STEPS)
def test_the_schema_of_a_step_describes_each_parameter(name: str) -> None:
    schema = TypeAdapter(STEPS[name]).json_schema()

    assert schema["additionalProperties"] is False
    assert schema["description"].startswith((STEPS[name].__doc__ or "").partition("\n")[0])
    for parameter in fields(STEPS[name]):
        described = schema["properties"][parameter.name]
        assert described["description"].endswith(".")
        for kind in described.get("anyOf", [described]):
            assert kind.get("type") not in ("integer", "number") or {"minimum", "exclusiveMinimum"} & set(kind)


@pytest.mark.parametrize("name", STEPS)
def test_the_usual_parameter_is_one_of_the_parameters(name: str) -> None:
    assert STEPS[name].SHORT in {"", *(parameter.name for parameter in fields(STEPS[name]))}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("blur", {"radius": 2}),
        ({"blur": 3}, {"radius": 3}),
        ({"blur": {"radius": 0.5}}, {"radius": 0.5}),
        ({"sharpen": 0.7}, {"radius": 0.7, "amount": 0.8}),
        ({"rotate": -15}, {"degrees": -15}),
        ({"flip": "both"}, {"direction": "both"}),
        ("round", {"radius": "max"}),
        ({"round": 12}, {"radius": 12}),
        ({"pad": {"top": 4}}, {"pixels": 0, "top": 4, "left": None}),
        ({"watermark": "logo.png"}, {"image": "logo.png", "anchor": "south-east"}),
    ],
)
def test_a_step_is_read_in_each_notation(written: object, expected: dict[str, Any]) -> None:
    step: Step = read_step(written)

    assert {name: getattr(step, name) for name in expected} == expected


@pytest.mark.parametrize(
    "written",
    [
        {"blur": "2"},
        {"blur": True},
        {"blur": 0},
        {"blur": 1e9},
        {"blur": float("nan")},
        {"blur": {"radius": 2, "sigma": 3}},
        {"rotate": 361},
        {"round": "min"},
        {"pad": 1.5},
        {"pad": -1},
        {"watermark": {"image": "logo.png", "size": 0}},
        {"watermark": {"image": "logo.png", "anchor": "top"}},
        "rotate",
        "watermark",
    ],
)
def test_a_parameter_out_of_its_bounds_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        read_step(written)


@pytest.mark.parametrize("written", [{"grayscale": 1}, {"modulate": 2}])
def test_a_bare_value_needs_a_usual_parameter(written: object) -> None:
    with pytest.raises(ValueError, match="by their names only"):
        read_step(written)


@pytest.mark.parametrize("name", ["flip", "rotate", "blur", "round", "modulate", "grayscale", "sharpen"])
def test_steps_follow_one_another(name: str) -> None:
    context = StepContext(limits=Limits(), assets=ASSETS)
    for image in (draw_scene(), draw_cutout()):
        result = image
        for step in (read_step({name: NEEDED.get(name, {})}), read_step({"watermark": "logo.png"})):
            result = step.apply(result, context)
        assert result.width >= image.width

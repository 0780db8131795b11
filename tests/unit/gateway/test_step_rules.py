"""The steps of a request: every broken rule by its place, and the one form in which a job stores them."""

from __future__ import annotations

import json
from typing import Any

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.permission import Permission
from gateway.problems import InvalidForm
from gateway.submission.form_rules import FormRules
from gateway.submission.forms import ProcessForm, parse_form
from gateway.submission.operation import compute_fingerprint
from gateway.submission.steps_schema import describe_steps
from pipeline.presets.registry import Presets, PresetsNotReady
from stages.limits import Limits
from storage.documents import Kind, Operation, Original
from tests.support.presets import DEFINITIONS, build_presets

LOGO = "ab" * 32
MAX_STEPS = 5
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def build(steps: object, **fields: str) -> Operation:
    """Return what a job stores of these steps; text is taken as it is."""
    presets = build_presets(**DEFINITIONS, assets={"logo.png": LOGO})
    rules = FormRules(presets, Permission(), max_steps=MAX_STEPS)
    given = {"steps": steps if isinstance(steps, str) else json.dumps(steps), **fields}
    form, _ = parse_form(ProcessForm, given, Limits(), strict=False, find_broken=rules.find_broken)
    return rules.build_operation(form)


def broken(steps: object, **fields: str) -> list[dict[str, Any]]:
    """Return the rules that these steps break."""
    with pytest.raises(InvalidForm) as caught:
        build(steps, **fields)
    errors: list[dict[str, Any]] = caught.value.extra["errors"]
    return errors


def places(steps: object, **fields: str) -> set[tuple[str, str]]:
    """Return pointer and rule of each broken one."""
    return {(error["pointer"], error["rule"]) for error in broken(steps, **fields)}


@pytest.mark.parametrize(
    ("steps", "stored"),
    [
        (["grayscale"], [{"grayscale": {}}]),
        ([{"grayscale": {}}, {"blur": 3}], [{"grayscale": {}}, {"blur": {"radius": 3.0}}]),
        ([{"blur": {"radius": 2}}], [{"blur": {}}]),
        ([{"rotate": 90}, {"rotate": {"degrees": 90.0}}], [{"rotate": {"degrees": 90.0}}] * 2),
        ([{"format": "webp"}], []),
    ],
)
def test_steps_are_stored_in_the_one_way_to_write_them(steps: object, stored: object) -> None:
    assert build(steps).parameters == {"steps": stored}


@pytest.mark.parametrize(
    ("step", "output"),
    [
        ({"format": "jpg"}, ("jpeg", None, "#ffffff")),
        ({"format": {"format": "webp", "quality": 60}}, ("webp", 60, "#ffffff")),
        ({"format": {"format": "AVIF", "background": "red"}}, ("avif", None, "#ff0000")),
    ],
)
def test_the_step_format_is_the_same_as_the_fields(step: dict[str, Any], output: tuple[Any, ...]) -> None:
    operation = build(["grayscale", step])

    assert (operation.format, operation.quality, operation.background) == output
    given = {"format": output[0], "quality": output[1] and str(output[1]), "background": output[2]}
    assert build(["grayscale"], **{name: value for name, value in given.items() if value}) == operation


def test_a_job_stores_the_digests_of_the_image_files_that_its_steps_name() -> None:
    assert build([{"watermark": "logo.png"}]).asset_digests == {"logo.png": LOGO}
    assert build(["grayscale"]).assets == []


def test_every_broken_rule_is_named_at_once() -> None:
    steps = [
        {"blur": {"radius": 0, "sigma": 1}},
        {"rotate": {}},
        {"blurr": 2},
        {"watermark": {"image": "lgoo.png", "opacity": 2}},
        7,
    ]

    assert places(steps, quality="0") == {
        ("/steps/0/blur/radius", "minimum"),
        ("/steps/0/blur/sigma", "unknown"),
        ("/steps/1/rotate", "required"),
        ("/steps/2/blurr", "unknown"),
        ("/steps/3/watermark/opacity", "maximum"),
        ("/steps/4", "invalid"),
        ("/quality", "minimum"),
    }


def test_a_broken_rule_has_its_sentence_its_limit_and_what_was_sent() -> None:
    [error] = broken([{"blur": {"radius": 300}}])

    assert error == {
        "pointer": "/steps/0/blur/radius",
        "rule": "maximum",
        "message": "Input should be less than or equal to 100",
        "limit": 100,
        "actual": 300,
    }


@pytest.mark.parametrize(
    ("step", "pointer", "sentence"),
    [
        ({"blurr": 2}, "/steps/0/blurr", "There is no step 'blurr'. Did you mean blur?"),
        ("greyscale", "/steps/0", "There is no step 'greyscale'. Did you mean grayscale?"),
        ({"blur": {"raduis": 2}}, "/steps/0/blur/raduis", "There is no parameter 'raduis'. Did you mean radius?"),
        ({"rotate": {}}, "/steps/0/rotate", "The step rotate needs degrees."),
        ({"watermark": "loga.png"}, "/steps/0/watermark", "There is no image file 'loga.png'. Did you mean logo.png?"),
        ({"a/b~c": 1}, "/steps/0/a~1b~0c", "There is no step 'a/b~c'."),
    ],
)
def test_what_is_unknown_or_missing_is_named(step: object, pointer: str, sentence: str) -> None:
    [error] = broken([step])

    assert error["pointer"] == pointer
    assert error["message"].startswith(sentence)


def test_a_value_alone_is_named_by_its_step() -> None:
    assert places([{"blur": 300}]) == {("/steps/0/blur", "maximum")}


def test_a_text_is_no_number() -> None:
    assert {pointer for pointer, _ in places([{"blur": "2"}, {"rotate": True}])} == {"/steps/0/blur", "/steps/1/rotate"}


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "grayscale", "{}", '"grayscale"', "[", '["grayscale"', "[NaN]", '[{"blur": Infinity}]', "[1e999]"),
        *(
            '[{"blur": 1, "blur": 2}]',
            '["\\ud800"]',
            "[" * 3000 + "]" * 3000,
            '[{"pad": [[[1]]]}]',
            "[" + "9" * 5000 + "]",
        ),
        '["grayscale", ' + " " * 8200 + '"grayscale"]',
    ],
    ids=lambda text: text[:24],
)
def test_anything_but_a_list_of_json_is_refused_in_a_sentence(text: str) -> None:
    [error] = broken(text)

    assert (error["pointer"], error["message"].strip() != "") == ("/steps", True)
    assert "sys." not in error["message"]


def test_there_are_at_least_one_step_and_at_most_as_many_as_the_setting_says() -> None:
    assert places([]) == {("/steps", "minimum")}
    assert places(["grayscale"] * (MAX_STEPS + 1)) == {("/steps", "maximum")}
    assert len(build(["grayscale"] * MAX_STEPS).parameters["steps"]) == MAX_STEPS


def test_a_format_is_the_last_step_and_given_once() -> None:
    assert places([{"format": "webp"}, "grayscale"]) == {("/steps/0", "exclusive")}
    assert places([{"format": "webp"}, {"format": "png"}]) == {("/steps/0", "exclusive")}
    assert places([{"format": "webp"}], format="webp") == {("/format", "exclusive")}
    assert build([{"format": "webp"}], format="auto", background="#FFFFFF").format == "webp"
    assert places([{"format": "tiff"}]) == {("/steps/0/format", "choice")}
    assert places([{"format": {"format": "webp", "quality": 101}}]) == {("/steps/0/format/quality", "maximum")}


def test_steps_are_required() -> None:
    with pytest.raises(InvalidForm) as caught:
        parse_form(ProcessForm, {}, Limits(), strict=False)

    assert [(error["pointer"], error["rule"]) for error in caught.value.extra["errors"]] == [("/steps", "required")]


def test_the_same_steps_have_the_same_fingerprint_however_they_are_written() -> None:
    original = Original(blob="a/original", name="a", media_type="image/png", bytes=1, sha256="cd" * 32)
    one, other, third = (
        compute_fingerprint(Kind.PROCESS, original, build(steps))
        for steps in (["grayscale", {"blur": 2}], [{"grayscale": {}}, "blur"], ["blur", "grayscale"])
    )

    assert one == other != third


@settings(max_examples=60)
@given(
    steps=st.lists(JSON | st.dictionaries(st.sampled_from(["blur", "pad", "format", "watermark"]), JSON), max_size=3)
)
def test_any_json_is_taken_or_refused(steps: list[Any]) -> None:
    try:
        operation = build(steps)
    except InvalidForm as refused:
        json.dumps(refused.extra["errors"], allow_nan=False).encode()
    else:
        bson.encode(operation.model_dump(mode="json"))


@pytest.mark.parametrize(
    "step", [{"resize": 2**63}, {"crop": {"left": 2**63, "top": 0, "width": 1, "height": 1}}, {"crop": [2**63, 1]}]
)
def test_a_size_that_no_store_can_hold_is_refused(step: dict[str, Any]) -> None:
    assert [rule for _, rule in places([step])] == ["maximum"]


def test_steps_wait_for_the_presets_whose_image_files_they_may_name() -> None:
    rules = FormRules(Presets({"small": 160}, is_ready=False), Permission(), max_steps=MAX_STEPS)

    with pytest.raises(PresetsNotReady):
        rules.find_broken(ProcessForm, {"steps": '[{"watermark": "logo.png"}]'})


def test_the_schema_names_alone_only_steps_that_need_no_parameters() -> None:
    alone = describe_steps("", 10)["contentSchema"]["items"]["anyOf"][0]["enum"]

    assert {"blur", "grayscale"} <= set(alone)
    assert not {"crop", "resize", "rotate", "watermark"} & set(alone)

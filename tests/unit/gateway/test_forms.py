"""Forms: what each field takes, and that every broken rule is named at once."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.problems import InvalidForm
from gateway.submission.forms import FORMS as FORMS_BY_ROUTE
from gateway.submission.forms import CropForm, FormT, GrayscaleForm, OutputForm, PreviewForm, ResizeForm, parse_form
from gateway.submission.operation import build_operation
from pipeline.presets.preset import default_preset
from stages.background import BACKGROUND_PATTERN
from stages.limits import Limits

LIMITS = Limits(side=5000)
FORMS = [PreviewForm, CropForm, GrayscaleForm, ResizeForm]
OPERATIONS = [CropForm, GrayscaleForm, ResizeForm]
LEAST: dict[type[OutputForm], dict[str, str]] = {CropForm: {"aspect": "16:9"}, ResizeForm: {"width": "10"}}
"""What a form cannot do without."""
BOX = {"left": "1", "top": "2", "width": "30", "height": "40"}

every_form = pytest.mark.parametrize("kind", FORMS)


def parse(kind: type[FormT], fields: dict[str, str]) -> FormT:
    form, _ = parse_form(kind, fields, LIMITS, strict=False)
    return form


def parsed(kind: type[OutputForm], **fields: str) -> dict[str, Any]:
    """Return what a form holds, with the least that it needs."""
    return parse(kind, LEAST.get(kind, {}) | fields).model_dump()


def warnings(kind: type[OutputForm], **fields: str) -> list[dict[str, Any]]:
    """Return the warnings about a form with the least that it needs."""
    _, warnings = parse_form(kind, LEAST.get(kind, {}) | fields, LIMITS, strict=False)
    return warnings


def broken(kind: type[OutputForm], fields: dict[str, str], *, strict: bool = False) -> list[dict[str, Any]]:
    """Return the rules that a form breaks."""
    with pytest.raises(InvalidForm) as caught:
        parse_form(kind, fields, LIMITS, strict=strict)
    errors: list[dict[str, Any]] = caught.value.extra["errors"]
    return errors


def rules(kind: type[OutputForm], fields: dict[str, str], *, strict: bool = False) -> list[tuple[str, str]]:
    """Return pointer and rule of each broken one."""
    return [(error["pointer"], error["rule"]) for error in broken(kind, fields, strict=strict)]


@every_form
def test_a_form_of_no_more_than_it_needs_has_defaults(kind: type[OutputForm]) -> None:
    form = parsed(kind)

    assert (form["format"], form["quality"], form["background"]) == ("auto", None, "#ffffff")


@every_form
@pytest.mark.parametrize("value", ["auto", "jpeg", "png", "webp", "avif"])
def test_a_format_can_be_asked_for(kind: type[OutputForm], value: str) -> None:
    assert parsed(kind, format=value)["format"] == value


@every_form
@pytest.mark.parametrize(
    ("value", "stored"),
    [("jpg", "jpeg"), ("JPEG", "jpeg"), ("Jpg", "jpeg"), ("PNG", "png"), ("WebP", "webp"), ("AUTO", "auto")],
)
def test_a_format_is_stored_under_one_name(kind: type[OutputForm], value: str, stored: str) -> None:
    assert parsed(kind, format=value)["format"] == stored


@every_form
@pytest.mark.parametrize("value", ["tiff", "TIF", "jpe g", "bmp", "image/png", "jpeg\n"])
def test_another_format_cannot(kind: type[OutputForm], value: str) -> None:
    assert rules(kind, LEAST.get(kind, {}) | {"format": value}) == [("/format", "choice")]


@pytest.mark.parametrize("name", ["quality", "background"])
@every_form
def test_every_form_takes_a_quality_and_a_background_alike(kind: type[OutputForm], name: str) -> None:
    assert repr(kind.model_fields[name]) == repr(OutputForm.model_fields[name])


@pytest.mark.parametrize("value", ["1", "80", "100"])
def test_a_quality_is_between_1_and_100(value: str) -> None:
    assert parsed(GrayscaleForm, quality=value)["quality"] == int(value)


@pytest.mark.parametrize(
    ("value", "rule"), [("0", "minimum"), ("-1", "minimum"), ("101", "maximum"), ("1000000000000", "maximum")]
)
def test_another_quality_is_refused(value: str, rule: str) -> None:
    assert rules(GrayscaleForm, {"quality": value}) == [("/quality", rule)]


@pytest.mark.parametrize("value", ["high", "80%", "80.5", "0x50", "٨٠", "NaN", "true"])
def test_a_quality_that_is_no_number_is_refused(value: str) -> None:
    [(pointer, _)] = rules(GrayscaleForm, {"quality": value})

    assert pointer == "/quality"


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("#000000", "#000000"),
        ("#1a2B3c", "#1a2b3c"),
        ("#f80", "#ff8800"),
        ("fff", "#ffffff"),
        ("FF8800", "#ff8800"),
        ("#f80f", "#ff8800"),
        ("#ff8800ff", "#ff8800"),
        ("white", "#ffffff"),
        ("Red", "#ff0000"),
        ("rebeccapurple", "#663399"),
        ("rgb(255, 136, 0)", "#ff8800"),
        ("rgb(255 136 0 / 100%)", "#ff8800"),
        ("rgb(100%,50%,0%)", "#ff8000"),
        ("rgba(255,136,0,1.0)", "#ff8800"),
        ("transparent", "#ffffff00"),
        ("#f800", "#ff880000"),
        ("rgba(1, 2, 3, 0)", "#01020300"),
    ],
)
def test_a_background_is_stored_in_one_way(value: str, stored: str) -> None:
    assert parsed(GrayscaleForm, background=value)["background"] == stored
    assert re.fullmatch(BACKGROUND_PATTERN, value)


@pytest.mark.parametrize(
    "value",
    [
        *("#fffffff", "#ggffff", "#ffffff\n", "#", "#ff", " white", "whitish", "inherit", "٣٣٣", "#ffffff80"),
        *("rgb(256, 0, 0)", "rgb(101%, 0, 0)", "rgb(1, 2)", "rgb(1, 2, 3", "rgba(1, 2, 3, 0.5)", "rgba(1, 2, 3, 1..)"),
        "rgb(" + " " * 100_000,
    ],
)
def test_another_background_is_refused(value: str) -> None:
    assert rules(GrayscaleForm, {"background": value}) == [("/background", "invalid")]


def test_requests_that_mean_the_same_are_duplicates() -> None:
    one, other = ({"format": "JPG", "background": "White"}, {"format": "jpeg", "background": "#FFFFFF"})

    asked, again = (
        build_operation(parse(PreviewForm, fields), default_preset({"small": 160})) for fields in (one, other)
    )

    assert asked == again


@every_form
@pytest.mark.parametrize("name", ["format", "quality", "background"])
def test_an_empty_field_is_as_if_it_were_not_there(kind: type[OutputForm], name: str) -> None:
    assert parsed(kind, **{name: ""}) == parsed(kind)


@every_form
@pytest.mark.parametrize("name", ["format", "quality", "background"])
@pytest.mark.parametrize("value", ["undefined", "null"])
def test_what_javascript_sends_for_no_value_is_as_if_it_were_not_there(
    kind: type[OutputForm], name: str, value: str
) -> None:
    assert parsed(kind, **{name: value}) == parsed(kind)


UNASKED = [
    "authenticity_token",
    "csrfmiddlewaretoken",
    "_token",
    "utf8",
    "commit",
    "submit",
    "caption",
    "title",
    "tags",
]


@every_form
@pytest.mark.parametrize("name", [*UNASKED, "nonsense", "x", "file", "form", "id", "weight", "to", "a" * 8000])
def test_an_unknown_field_is_a_warning(kind: type[OutputForm], name: str) -> None:
    [warning] = warnings(kind, **{name: "1"})

    assert set(warning) == {"pointer", "rule", "message"}
    assert (warning["pointer"][:65], warning["rule"]) == (f"/{name[:64]}", "unknown")
    assert len(warning["message"]) < 200


@every_form
@pytest.mark.parametrize("name", [*UNASKED, "nonsense", "x", "file"])
def test_an_unknown_field_breaks_a_strict_rule(kind: type[OutputForm], name: str) -> None:
    assert rules(kind, LEAST.get(kind, {}) | {name: "1"}, strict=True) == [(f"/{name}", "unknown")]


@every_form
def test_a_known_field_is_no_warning(kind: type[OutputForm]) -> None:
    assert warnings(kind, quality="10", name="cat.jpg", caption="", utf8="undefined") == []


def test_a_pointer_to_a_field_is_escaped() -> None:
    [warning] = warnings(PreviewForm, **{"a/b~c": "1"})

    assert warning["pointer"] == "/a~1b~0c"


@pytest.mark.parametrize(
    ("kind", "name", "meant"),
    [
        (PreviewForm, "qualty", "quality"),
        (PreviewForm, "Quality", "quality"),
        (PreviewForm, "fromat", "format"),
        (PreviewForm, "Format", "format"),
        (PreviewForm, "backgroud", "background"),
        (PreviewForm, "back-ground", "background"),
        (PreviewForm, "bakgrond", "background"),
        (PreviewForm, "animate", "animated"),
        (CropForm, "hieght", "height"),
        (CropForm, "Left", "left"),
        (CropForm, "TOP", "top"),
        (CropForm, "apsect", "aspect"),
        (ResizeForm, "widht", "width"),
        (ResizeForm, "Fit", "fit"),
        (ResizeForm, "enlarged", "enlarge"),
        (ResizeForm, "sourceTaskId", "source_task_id"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_a_misspelt_field_is_refused(kind: type[OutputForm], name: str, meant: str, strict: bool) -> None:
    [error] = broken(kind, LEAST.get(kind, {}) | {name: "1"}, strict=strict)

    assert (error["pointer"], error["rule"], error["actual"]) == (f"/{name}", "unknown", "1")
    assert f"Did you mean {meant}?" in error["message"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (PreviewForm, "width"),
        (PreviewForm, "source_task_id"),
        (PreviewForm, "fit"),
        (CropForm, "fit"),
        (CropForm, "animated"),
        (GrayscaleForm, "width"),
        (GrayscaleForm, "animated"),
        (ResizeForm, "left"),
        (ResizeForm, "aspect"),
        (ResizeForm, "animated"),
    ],
)
def test_a_field_of_another_form_is_a_warning_that_names_its_routes(kind: type[OutputForm], name: str) -> None:
    [warning] = warnings(kind, **{name: "1"})

    routes = {route for route, form in FORMS_BY_ROUTE.items() if name in form.model_fields}
    assert (warning["pointer"], warning["rule"]) == (f"/{name}", "unknown")
    assert set(re.findall(r"/\w+", warning["message"])) == routes


@pytest.mark.parametrize("kind", OPERATIONS)
def test_an_operation_can_have_a_source(kind: type[OutputForm]) -> None:
    assert parsed(kind, source_task_id="job")["source_task_id"] == "job"


@pytest.mark.parametrize("kind", OPERATIONS)
@pytest.mark.parametrize("given", [{}, {"source_task_id": ""}], ids=["none", "empty"])
def test_an_operation_need_not_have_a_source(kind: type[OutputForm], given: dict[str, str]) -> None:
    assert parsed(kind, **given)["source_task_id"] is None


@pytest.mark.parametrize(("value", "animated"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_previews_can_be_animated(value: str, animated: bool) -> None:
    assert parsed(PreviewForm, animated=value)["animated"] is animated


def test_previews_are_not_animated_unless_it_is_asked() -> None:
    assert parsed(PreviewForm)["animated"] is False


def test_an_animation_that_is_neither_on_nor_off_is_refused() -> None:
    [(pointer, _)] = rules(PreviewForm, {"animated": "maybe"})

    assert pointer == "/animated"


@pytest.mark.parametrize("value", ["auto", "webp", "gif"])
def test_animated_previews_have_a_format_that_has_frames(value: str) -> None:
    assert parsed(PreviewForm, animated="true", format=value)["format"] == value


@pytest.mark.parametrize("value", ["jpeg", "png", "avif"])
def test_animated_previews_in_another_format_are_refused(value: str) -> None:
    [error] = broken(PreviewForm, {"animated": "true", "format": value})

    assert "WebP or GIF" in error["message"]


@pytest.mark.parametrize("fields", [{}, {"animated": "false"}], ids=["not asked", "asked not to be"])
def test_gif_is_for_animated_previews(fields: dict[str, str]) -> None:
    [error] = broken(PreviewForm, {"format": "gif"} | fields)

    assert "animated" in error["message"]


@pytest.mark.parametrize("kind", OPERATIONS)
def test_no_operation_makes_a_gif(kind: type[OutputForm]) -> None:
    assert rules(kind, LEAST.get(kind, {}) | {"format": "gif"}) == [("/format", "choice")]


def test_a_crop_takes_a_box() -> None:
    form = parse(CropForm, BOX)

    assert (form.left, form.top, form.width, form.height, form.aspect) == (1, 2, 30, 40, None)


def test_a_box_may_begin_in_the_corner() -> None:
    form = parse(CropForm, BOX | {"left": "0", "top": "0"})

    assert (form.left, form.top) == (0, 0)


@pytest.mark.parametrize("missing", list(BOX))
def test_a_box_has_four_sides(missing: str) -> None:
    [error] = broken(CropForm, {name: value for name, value in BOX.items() if name != missing})

    assert "left, top, width and height" in error["message"]


def test_a_crop_needs_a_box_or_an_aspect() -> None:
    [error] = broken(CropForm, {})

    assert "or an aspect" in error["message"]


@pytest.mark.parametrize("name", list(BOX))
def test_a_crop_takes_no_box_beside_an_aspect(name: str) -> None:
    [error] = broken(CropForm, {"aspect": "16:9", name: "10"})

    assert "either" in error["message"]


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("left", "-1", "minimum"),
        ("top", "-1", "minimum"),
        ("width", "0", "minimum"),
        ("height", "0", "minimum"),
        ("left", "5001", "maximum"),
        ("top", "5001", "maximum"),
        ("width", "5001", "maximum"),
        ("height", "5001", "maximum"),
        ("left", "9" * 30, "maximum"),
        ("width", "9" * 30, "maximum"),
    ],
)
def test_a_box_lies_within_what_an_image_may_be(name: str, value: str, rule: str) -> None:
    assert rules(CropForm, BOX | {name: value}) == [(f"/{name}", rule)]


@pytest.mark.parametrize("value", ["1:1", "16:9", "99999:1", "1:99999"])
def test_an_aspect_is_two_numbers(value: str) -> None:
    assert parse(CropForm, {"aspect": value}).aspect == value


@pytest.mark.parametrize(
    "value",
    [
        "16/9",
        "16",
        "16:",
        ":9",
        "0:9",
        "16:0",
        "-16:9",
        "1.5:1",
        "016:9",
        "16:9:1",
        "16: 9",
        "16:9\n",
        "١٦:٩",
        "100000:1",
    ],
)
def test_another_aspect_is_refused(value: str) -> None:
    assert rules(CropForm, {"aspect": value}) == [("/aspect", "invalid")]


@pytest.mark.parametrize(
    ("fields", "box"),
    [
        ({"width": "10"}, (10, None)),
        ({"height": "20"}, (None, 20)),
        ({"width": "10", "height": "20"}, (10, 20)),
        ({"width": "5000", "height": "1"}, (5000, 1)),
    ],
    ids=["width", "height", "both", "bounds"],
)
def test_a_resize_takes_a_side_at_least(fields: dict[str, str], box: tuple[int | None, int | None]) -> None:
    form = parse(ResizeForm, fields)

    assert (form.width, form.height) == box


def test_a_resize_of_no_side_is_refused() -> None:
    [error] = broken(ResizeForm, {"fit": "cover"})

    assert "a width, a height or both" in error["message"]


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("0", "minimum"),
        ("-10", "minimum"),
        ("5001", "maximum"),
        ("+5001", "maximum"),
        (" 5001", "maximum"),
        ("05001", "maximum"),
        ("9" * 30, "maximum"),
    ],
)
@pytest.mark.parametrize("name", ["width", "height"])
def test_a_side_lies_within_what_an_image_may_be(name: str, value: str, rule: str) -> None:
    assert rules(ResizeForm, {name: value}) == [(f"/{name}", rule)]


@pytest.mark.parametrize("value", ["contain", "cover", "fill", "inside"])
def test_a_resize_fits_in_four_ways(value: str) -> None:
    assert parsed(ResizeForm, fit=value)["fit"] == value


def test_a_resize_fits_in_no_other_way() -> None:
    assert rules(ResizeForm, {"width": "10", "fit": "squeeze"}) == [("/fit", "choice")]


@pytest.mark.parametrize(("value", "enlarge"), [("true", True), ("false", False), ("", False)])
def test_a_resize_enlarges_when_it_is_told_to(value: str, enlarge: bool) -> None:
    assert parsed(ResizeForm, enlarge=value)["enlarge"] is enlarge


def test_every_broken_rule_is_named_at_once() -> None:
    fields = {
        "width": "0",
        "height": "5001",
        "fit": "squeeze",
        "enlarge": "maybe",
        "quality": "101",
        "format": "gif",
        "background": "reddish",
        "nonsense": "1",
    }

    assert {pointer for pointer, _ in rules(ResizeForm, fields, strict=True)} == {f"/{name}" for name in fields}


def test_a_broken_rule_names_its_limit_and_what_was_sent() -> None:
    [error] = broken(GrayscaleForm, {"quality": "101"})

    assert (error["limit"], error["actual"]) == (100, "101")


def test_a_side_over_the_limit_names_the_limit_and_what_was_sent() -> None:
    [error] = broken(ResizeForm, {"width": "5001"})

    assert (error["limit"], int(error["actual"])) == (5000, 5001)


def test_a_choice_names_what_there_is_to_choose_from() -> None:
    [error] = broken(ResizeForm, {"width": "10", "fit": "squeeze"})

    assert (error["actual"], [fit in error["limit"] for fit in ("contain", "cover", "fill", "inside")]) == (
        "squeeze",
        [True] * 4,
    )


def test_every_broken_rule_says_so_in_a_sentence() -> None:
    errors = broken(CropForm, {"left": "x", "top": "-1", "width": "5001", "aspect": "wide", "nonsense": "1"})

    assert [error for error in errors if not error["message"]] == []


def test_what_is_right_is_not_named() -> None:
    assert rules(CropForm, BOX | {"quality": "0"}) == [("/quality", "minimum")]


@pytest.mark.parametrize("name", ["name", "type", "relativePath"])
def test_what_an_upload_widget_adds_unasked_is_let_pass(name: str) -> None:
    assert parse(PreviewForm, {name: "photo.jpg"}) == PreviewForm()

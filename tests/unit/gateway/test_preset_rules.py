"""The preset of an upload: which one it is, what may be overridden, and what the caller may use."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.image_requests import ImageRequest
from gateway.permission import Permission
from gateway.problems import InvalidForm, PresetNotAllowed
from gateway.submission.form_rules import FormRules
from gateway.submission.forms import CropForm, PreviewForm, parse_form
from gateway.submission.operation import build_operation, compute_fingerprint
from pipeline.presets.preset import read_definition
from stages.limits import Limits
from storage.documents import Kind, Operation, Original
from tests.support.presets import EDGES, PRODUCT, SHOP, STRIPS, build_presets

ORIGINAL = Original(blob="job/original", name="cat.jpg", media_type="image/jpeg", bytes=3, sha256="ab" * 32)
ONE, TWO = frozenset({"product"}), frozenset({"product", "icons"})


def resolve(permission: Permission | None = None, /, **fields: str) -> Operation:
    """Return what an upload with these fields stores."""
    rules = FormRules(build_presets(), permission or Permission(), max_steps=1)
    form, _ = parse_form(PreviewForm, fields, Limits(), strict=False, find_broken=rules.find_broken)
    return rules.build_operation(form)


def broken(permission: Permission | None = None, /, **fields: str) -> list[dict[str, Any]]:
    """Return the rules that an upload with these fields breaks."""
    with pytest.raises(InvalidForm) as caught:
        resolve(permission, **fields)
    errors: list[dict[str, Any]] = caught.value.extra["errors"]
    return errors


def test_an_upload_without_a_preset_has_the_preset_default() -> None:
    operation = resolve()

    assert operation.preset is not None
    assert (operation.preset.name, operation.renditions) == ("default", EDGES)


def test_a_job_stores_the_preset_with_its_version_and_whole_renditions() -> None:
    operation = resolve(preset="product")

    preset = build_presets().get("product")
    assert operation.preset == preset.reference
    assert operation.renditions["thumb"] == 80
    assert read_definition(operation, "card") == preset.definition.renditions["card"]


def test_a_field_that_the_preset_allows_overrides_its_renditions() -> None:
    card = read_definition(resolve(preset="product", quality="40", background="red"), "card")

    assert (set(card.quality.values()), card.background) == ({40}, "#ff0000")
    assert card.formats == ("avif", "jpeg")


def test_fields_that_the_preset_does_not_allow_are_broken_rules_all_at_once() -> None:
    errors = broken(preset="product", format="webp", animated="true", quality="40")

    assert [(error["pointer"], error["rule"]) for error in errors] == [
        ("/format", "not_allowed"),
        ("/animated", "not_allowed"),
    ]
    assert (errors[0]["limit"], errors[0]["actual"]) == ("background, quality", "webp")


def test_rules_of_the_form_and_of_the_preset_are_named_together() -> None:
    assert {error["pointer"] for error in broken(preset="product", format="webp", quality="101")} == {
        "/format",
        "/quality",
    }


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("prodct", "There is no preset 'prodct'. Did you mean product?"),
        ("zoom", "There is no preset 'zoom'. Use one of: banner, default, icons, product."),
    ],
)
def test_an_unknown_preset_is_refused_with_those_that_there_are(name: str, sentence: str) -> None:
    [error] = broken(preset=name)

    assert (error["pointer"], error["rule"], error["message"]) == ("/preset", "choice", sentence)
    assert error["limit"] == "banner, default, icons, product"


def test_an_unknown_preset_names_only_what_the_caller_may_use() -> None:
    [error] = broken(Permission(presets=frozenset({"gone", "icons"})), preset="gone")

    assert error["limit"] == "icons"


@pytest.mark.parametrize("name", ["Product", "a" * 33, "../x", "1", "a b"])
def test_a_preset_that_has_no_name_of_a_preset_is_refused(name: str) -> None:
    assert "/preset" in {error["pointer"] for error in broken(preset=name)}


def test_a_preset_of_edges_keeps_the_frames_of_an_animation() -> None:
    operation = resolve(preset="icons", animated="true", format="gif")

    assert (operation.renditions, operation.animated, operation.format) == ({"icon": 32}, True, "gif")


def test_a_rendition_of_more_than_an_edge_has_no_gif_for_still_images() -> None:
    operation = build_presets(strips=STRIPS).get("strips").resolve({"animated": True, "format": "gif"})

    assert (operation.animated, operation.format) == (True, "gif")
    assert read_definition(operation, "strip").formats == ("auto",)


def test_a_caller_that_is_limited_to_presets_uploads_with_them_only() -> None:
    assert resolve(Permission(presets=TWO), preset="icons").renditions == {"icon": 32}
    with pytest.raises(PresetNotAllowed, match="icons, product"):
        resolve(Permission(presets=TWO), preset="banner")
    with pytest.raises(PresetNotAllowed, match="default"):
        resolve(Permission(presets=TWO))


def test_the_only_preset_that_is_allowed_needs_no_name() -> None:
    assert list(resolve(Permission(presets=ONE)).renditions) == ["card", "thumb"]


def test_limits_of_a_key_and_a_token_hold_together() -> None:
    key = Permission(presets=TWO)

    assert key.limit_presets(None).presets == TWO
    assert key.limit_presets(["icons", "banner"]).presets == frozenset({"icons"})
    assert Permission().limit_presets(["icons"]).presets == frozenset({"icons"})
    with pytest.raises(PresetNotAllowed, match="exclude each other"):
        key.limit_presets(["banner"]).choose_preset(None)


def test_an_upload_without_the_metadata_that_keys_need_is_refused() -> None:
    rules = FormRules(build_presets(shop=SHOP), Permission(metadata={"size": "L"}), max_steps=1)

    with pytest.raises(InvalidForm) as refused:
        parse_form(PreviewForm, {"preset": "shop"}, Limits(), strict=False, find_broken=rules.find_broken)

    sentence = "The preset shop puts its results under keys that have the metadata sku."
    assert refused.value.extra["errors"] == [
        {
            "pointer": "/preset",
            "rule": "metadata",
            "message": f"{sentence} Upload with a token whose claim metadata has it.",
        }
    ]


def test_a_preset_that_has_got_a_destination_since_the_form_was_parsed_is_refused_too() -> None:
    form, _ = parse_form(PreviewForm, {"preset": "shop"}, Limits(), strict=False)

    with pytest.raises(InvalidForm, match="needs metadata"):
        FormRules(build_presets(shop=SHOP), Permission(), max_steps=1).build_operation(form)


def test_an_upload_with_the_metadata_has_the_destination_of_its_preset() -> None:
    form, _ = parse_form(PreviewForm, {"preset": "shop"}, Limits(), strict=False)
    permission = Permission(metadata={"sku": "A-1"})

    operation = FormRules(build_presets(shop=SHOP), permission, max_steps=1).build_operation(form)

    assert operation.destination is not None
    assert operation.destination.model_dump() == SHOP["destination"]


def test_an_image_on_demand_is_put_into_no_bucket() -> None:
    wanted = ImageRequest.read(build_presets(shop=SHOP), Permission(), "shop", "thumb.png")

    assert wanted.build_operation().destination is None


def test_an_operation_has_no_preset() -> None:
    rules = FormRules(build_presets(), Permission(), max_steps=1)

    form, warnings = parse_form(
        CropForm, {"aspect": "1:1", "preset": "x"}, Limits(), strict=False, find_broken=rules.find_broken
    )

    assert [warning["pointer"] for warning in warnings] == ["/preset"]
    assert rules.build_operation(form).preset is None


def test_requests_from_before_there_were_presets_have_the_fingerprint_they_had() -> None:
    """The fingerprints are those of the version before."""
    previews = compute_fingerprint(Kind.PREVIEWS, ORIGINAL, resolve(format="webp", quality="70"))
    crop = compute_fingerprint(Kind.CROP, ORIGINAL, Operation(parameters={"aspect": [16, 9]}))

    assert previews == "309693e09ceea5d2a040f819fa53a4ccc9126c6730c18ddcc831bd7fdc443ca7"
    assert crop == "63743ab168bd406a18d0324b68378beb4b38d1d82821251ba5c2293571210d12"


def test_the_same_request_is_the_same_when_its_preset_has_changed() -> None:
    changed = build_presets(product=PRODUCT | {"renditions": {"card": {"edge": 9}}}).get("product")
    form, _ = parse_form(PreviewForm, {"preset": "product", "quality": "40"}, Limits(), strict=False)

    before = compute_fingerprint(Kind.PREVIEWS, ORIGINAL, resolve(preset="product", quality="40"))

    assert compute_fingerprint(Kind.PREVIEWS, ORIGINAL, build_operation(form, changed)) == before
    assert compute_fingerprint(Kind.PREVIEWS, ORIGINAL, resolve(preset="product", quality="41")) != before
    assert compute_fingerprint(Kind.PREVIEWS, ORIGINAL, resolve(preset="product")) != before

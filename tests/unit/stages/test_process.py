"""The operation process: the same bytes as an operation of one step, the order of several, and where a rule broke."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from pipeline.presets.steps import read_step
from stages.crop import crop
from stages.errors import InvalidOperation
from stages.fit import fit
from stages.grayscale import grayscale
from stages.limits import Limits
from stages.process import process
from stages.rendition import Rendition
from tests.support.images import encode_image, photo

LIMITS = Limits()
SIDEWAYS = 6  # EXIF: turn clockwise by 90 degrees


def run(original: bytes, *steps: object, **options: Any) -> Rendition:
    """Return what these steps make."""
    given: dict[str, Any] = {"limits": LIMITS, "assets": {}, **options}
    return process(original, steps=tuple(map(read_step, steps)), **given)


def translucent(width: int, height: int) -> Image.Image:
    image = photo(width, height).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((width, height)))
    return image


def sideways_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    content = BytesIO()
    photo(403, 301).save(content, "jpeg", exif=exif.tobytes())
    return content.getvalue()


ORIGINALS = {
    "a photo on its side": sideways_jpeg(),
    "alpha": encode_image(translucent(403, 301), "png"),
    "grey": encode_image(photo(300, 200).convert("L"), "jpeg"),
}
CASES: dict[str, tuple[Callable[..., Rendition], dict[str, Any], object]] = {
    "grayscale": (grayscale, {}, "grayscale"),
    "crop by numbers": (crop, {"left": 7, "top": 9, "width": 101, "height": 53}, None),
    "crop by aspect": (crop, {"aspect": (16, 9)}, {"crop": [16, 9]}),
    "one side": (fit, {"width": 97, "fit": "inside"}, None),
    "inside": (fit, {"width": 97, "height": 88, "fit": "inside"}, None),
    "contain": (fit, {"width": 120, "height": 77, "fit": "contain"}, None),
    "cover": (fit, {"width": 131, "height": 77, "fit": "cover"}, None),
    "fill": (fit, {"width": 55, "height": 177, "fit": "fill"}, None),
    "enlarged": (fit, {"width": 490, "height": 500, "fit": "cover", "enlarge": True}, None),
}
OUTPUTS: list[dict[str, Any]] = [{}, {"format": "webp", "quality": 50}, {"format": "jpeg", "background": "#ff0000"}]


@pytest.mark.parametrize("output", OUTPUTS, ids=str)
@pytest.mark.parametrize("original", ORIGINALS.values(), ids=ORIGINALS)
@pytest.mark.parametrize("case", CASES)
def test_one_step_gives_the_same_bytes_as_its_operation(case: str, original: bytes, output: dict[str, Any]) -> None:
    operation, parameters, written = CASES[case]
    step = written or {"resize" if operation is fit else "crop": parameters}

    assert run(original, step, **output) == operation(original, limits=LIMITS, **parameters, **output)


def test_no_step_gives_the_image_upright_in_another_format() -> None:
    rendition = run(ORIGINALS["a photo on its side"], format="png")

    assert (rendition.format, rendition.width, rendition.height) == ("png", 301, 403)


def test_steps_run_in_their_order() -> None:
    original = encode_image(photo(200, 100), "png")

    cut_then_turned = run(original, {"crop": [1, 1]}, {"rotate": 90}, {"resize": {"width": 30, "height": 90}})
    padded_last = run(original, {"resize": 50}, {"pad": 10})
    padded_first = run(original, {"pad": 10}, {"resize": 50})

    assert (cut_then_turned.width, cut_then_turned.height) == (30, 30)
    assert (padded_last.width, padded_last.height) == (70, 45)
    assert (padded_first.width, padded_first.height) == (50, 27)


def test_a_crop_may_be_first_or_later_and_cuts_the_image_that_it_gets() -> None:
    original = encode_image(photo(200, 100), "png")
    box = {"crop": {"left": 10, "top": 10, "width": 40, "height": 30}}

    small = run(original, {"resize": 100}, box, format="png")

    assert (small.width, small.height) == (40, 30)
    with pytest.raises(InvalidOperation):
        run(original, {"resize": 40}, box)


def test_a_crop_that_looks_for_the_subject_gets_the_size_of_its_aspect() -> None:
    rendition = run(ORIGINALS["a photo on its side"], {"crop": {"aspect": [1, 1], "focus": "auto"}})
    reduced = run(
        ORIGINALS["a photo on its side"], {"resize": {"width": 60, "height": 60, "fit": "cover", "focus": "auto"}}
    )

    assert (rendition.width, rendition.height) == (301, 301)
    assert (reduced.width, reduced.height) == (60, 60)


def test_a_mark_is_laid_over_the_image() -> None:
    mark = encode_image(Image.new("RGBA", (10, 10), "red"), "png")

    rendition = run(
        encode_image(Image.new("RGB", (100, 100), "blue"), "png"),
        {"watermark": {"image": "logo.png", "size": 0.5, "anchor": "centre"}},
        assets={"logo.png": mark},
        format="png",
    )

    result = Image.open(BytesIO(rendition.content)).convert("RGB")
    assert (result.getpixel((50, 50)), result.getpixel((5, 5))) == ((255, 0, 0), (0, 0, 255))


@pytest.mark.parametrize("before", [[], ["grayscale"]], ids=["first", "later"])
def test_a_rule_that_only_the_image_can_judge_names_the_place_of_its_step(before: list[object]) -> None:
    box = {"crop": {"left": 500, "top": 0, "width": 10, "height": 400}}

    with pytest.raises(InvalidOperation) as caught:
        run(encode_image(photo(200, 100), "png"), *before, box)

    place = f"/steps/{len(before)}/crop"
    assert [error.pointer for error in caught.value.errors] == [f"{place}/left", f"{place}/height"]


def test_a_result_over_the_limits_is_refused_before_it_is_made() -> None:
    step = {"resize": {"width": 20_000, "enlarge": True}}

    with pytest.raises(InvalidOperation) as caught:
        run(encode_image(photo(200, 100), "png"), step)

    assert {error.pointer for error in caught.value.errors} == {"/steps/0/resize/width", "/steps/0/resize/pixels"}


def test_every_rule_of_the_output_is_named() -> None:
    with pytest.raises(InvalidOperation) as caught:
        run(encode_image(photo(20, 10), "png"), "grayscale", format="bmp", quality=0)

    assert {error.pointer for error in caught.value.errors} == {"/format", "/quality"}

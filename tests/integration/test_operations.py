"""Crop, grayscale and resize over HTTP: what comes out, what is refused, and how their jobs look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.integration.api_helpers import (
    assert_in_order,
    difference,
    get_status,
    post_operation,
    submit_operation,
    submit_photo,
    wait_for_all,
    wait_for_end,
    wait_for_image,
)
from tests.support.images import cutout, decode_image, encode_image, exif, photo

SIZE = (96, 64)
BOX = {"left": 20, "top": 30, "width": 100, "height": 150}
OPERATIONS: dict[str, dict[str, object]] = {"crop": {"aspect": "1:1"}, "grayscale": {}, "resize": {"width": 48}}
POSTS: dict[str, dict[str, object]] = {"upload": {}} | OPERATIONS
FORMATS = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF"}
FITS_AS_THEY_ARE = {"contain": (200, 200), "inside": SIZE, "cover": (64, 64), "fill": (64, 64)}
FITS_ENLARGED = {"contain": (200, 200), "inside": (200, 133), "cover": (200, 200), "fill": (200, 200)}


@pytest.fixture(scope="module")
def plain() -> bytes:
    return encode_image(photo(*SIZE))


@pytest.fixture(scope="module")
def holed() -> bytes:
    return encode_image(cutout(*SIZE))


@pytest.fixture(scope="module")
def source(client: httpx.Client, plain: bytes) -> dict[str, Any]:
    return wait_for_end(client, submit_photo(client, plain))


@pytest.fixture(scope="module")
def resized(client: httpx.Client, plain: bytes) -> dict[str, Any]:
    return wait_for_end(client, submit_operation(client, "resize", plain, width=48))


@pytest.fixture(scope="module")
def broken(client: httpx.Client, plain: bytes) -> dict[str, Any]:
    return wait_for_end(client, submit_photo(client, plain[: len(plain) // 2]))


def _errors(response: httpx.Response) -> dict[str, dict[str, Any]]:
    assert (response.status_code, response.json()["code"]) == (422, "invalid_form"), response.text
    assert response.headers["content-type"] == "application/problem+json"
    return {error["pointer"]: error for error in response.json()["errors"]}


def test_a_crop_cuts_its_box_out_of_the_photo_as_displayed(client: httpx.Client) -> None:
    shot = photo(300, 200)
    original = encode_image(shot, "jpeg", exif=exif(6))

    cut = wait_for_image(client, submit_operation(client, "crop", original, format="png", **BOX))

    shown = shot.transpose(Image.Transpose.ROTATE_270)
    assert difference(cut, shown.crop((20, 30, 120, 180))) < 4


@pytest.mark.parametrize(
    ("aspect", "box"), [("1:1", (16, 0, 80, 64)), ("16:9", (0, 5, 96, 59)), ("1:3", (37, 0, 58, 64))]
)
def test_a_crop_by_aspect_cuts_the_largest_centred_box(
    client: httpx.Client, plain: bytes, aspect: str, box: tuple[int, int, int, int]
) -> None:
    cut = wait_for_image(client, submit_operation(client, "crop", plain, aspect=aspect, format="png"))

    assert difference(cut, photo(*SIZE).crop(box)) == 0


@pytest.mark.parametrize(
    ("box", "broken"),
    [
        ((50, 40, 100, 30), {"/width": (46, 100), "/height": (24, 30)}),
        ((96, 64, 1, 1), {"/left": (95, 96), "/top": (63, 64)}),
        ((0, 64, 97, 1), {"/top": (63, 64), "/width": (96, 97)}),
    ],
)
def test_a_crop_outside_the_image_fails_and_names_every_broken_rule(
    client: httpx.Client, plain: bytes, box: tuple[int, ...], broken: dict[str, tuple[int, int]]
) -> None:
    fields = dict(zip(("left", "top", "width", "height"), box, strict=True))

    job = wait_for_end(client, submit_operation(client, "crop", plain, **fields))

    assert (job["status"], job["failure"]["stage"]) == ("failed", "transform")
    assert job["failure"]["code"] == "invalid_operation"
    found = {error["pointer"]: (error["limit"], error["actual"]) for error in job["failure"]["errors"]}
    assert found == broken
    assert {error["rule"] for error in job["failure"]["errors"]} == {"maximum"}


@pytest.mark.parametrize(
    ("operation", "fields", "broken"),
    [
        ("crop", {"left": -1, "top": -2, "width": 0, "height": -3}, {"/left", "/top", "/width", "/height"}),
        ("crop", {"left": 0, "top": 0, "width": 16385, "height": 99_999}, {"/width", "/height"}),
        ("crop", {"aspect": "0:1"}, {"/aspect"}),
        ("crop", {"aspect": "wide"}, {"/aspect"}),
        ("resize", {"width": 0, "height": -5}, {"/width", "/height"}),
        ("resize", {"width": 16385, "height": 16385}, {"/width", "/height"}),
        ("crop", {"left": 2**63, "top": 16385, "width": 1, "height": 1}, {"/left", "/top"}),
        ("resize", {"width": "wide", "fit": "stretch", "enlarge": "perhaps"}, {"/width", "/fit", "/enlarge"}),
        ("grayscale", {"quality": 0, "format": "bmp", "background": "reddish"}, {"/quality", "/format", "/background"}),
        ("upload", {"quality": 101, "format": "tiff", "animated": 7}, {"/quality", "/format", "/animated"}),
        ("upload", {"qualty": 40}, {"/qualty"}),
    ],
)
def test_a_form_is_refused_with_every_rule_it_breaks(
    client: httpx.Client, plain: bytes, operation: str, fields: dict[str, object], broken: set[str]
) -> None:
    errors = _errors(post_operation(client, operation, plain, **fields))

    assert set(errors) == broken
    assert all(error["rule"] and error["message"] and "actual" in error for error in errors.values())


@pytest.mark.parametrize(
    ("value", "limit"),
    [(0, 1), (-5, 1), (16385, 16384), (10**13, 16384), (10**30, 16384)],
    ids=["nothing", "less than nothing", "over the side limit", "far over it", "over any integer of the database"],
)
def test_a_side_out_of_bounds_is_refused_with_its_limit(
    client: httpx.Client, plain: bytes, value: int, limit: int
) -> None:
    errors = _errors(post_operation(client, "resize", plain, height=value))

    assert errors["/height"]["limit"] == limit
    assert str(value).startswith(str(errors["/height"]["actual"]))


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        pytest.param("crop", {}, id="a crop without a box or an aspect"),
        pytest.param("crop", {"left": 1, "top": 1, "width": 9}, id="a crop with three numbers"),
        pytest.param("crop", {"aspect": "1:1", "left": 1}, id="a crop with both"),
        pytest.param("resize", {}, id="a resize without a side"),
        pytest.param("upload", {"format": "gif"}, id="a still GIF"),
        pytest.param("upload", {"format": "png", "animated": "true"}, id="an animated PNG"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(
    client: httpx.Client, plain: bytes, blob_folder: Path, operation: str, fields: dict[str, object]
) -> None:
    before = set(blob_folder.iterdir())

    errors = _errors(post_operation(client, operation, plain, **fields))

    assert all(error["message"] for error in errors.values())
    assert set(blob_folder.iterdir()) <= before


def test_grayscale_tells_the_picture_by_its_luminance(client: httpx.Client, plain: bytes) -> None:
    grey = wait_for_image(client, submit_operation(client, "grayscale", plain, format="png"))

    assert grey.mode == "L"
    assert difference(grey, photo(*SIZE).convert("L")) < 1


def test_grayscale_keeps_alpha(client: httpx.Client, holed: bytes) -> None:
    grey = wait_for_image(client, submit_operation(client, "grayscale", holed))

    assert (grey.format, grey.mode) == ("WEBP", "RGBA")
    assert difference(grey.getchannel("A"), cutout(*SIZE).getchannel("A")) < 1
    assert grey.getpixel((48, 32)) == pytest.approx((89, 89, 89, 255), abs=3)


@pytest.mark.parametrize(("side", "size"), [({"width": 48}, (48, 32)), ({"height": 16}, (24, 16))])
def test_a_resize_by_one_side_keeps_the_shape(
    client: httpx.Client, plain: bytes, side: dict[str, object], size: tuple[int, int]
) -> None:
    small = wait_for_image(client, submit_operation(client, "resize", plain, format="png", **side))

    assert difference(small, photo(*SIZE).resize(size, Image.Resampling.LANCZOS)) < 2


@pytest.mark.parametrize(
    ("fit", "size"), [("contain", (40, 40)), ("inside", (40, 27)), ("cover", (40, 40)), ("fill", (40, 40))]
)
def test_a_resize_brings_a_larger_image_to_its_box(
    client: httpx.Client, plain: bytes, fit: str, size: tuple[int, int]
) -> None:
    small = wait_for_image(client, submit_operation(client, "resize", plain, width=40, height=40, fit=fit))

    assert small.size == size


@pytest.mark.parametrize(("fit", "size"), FITS_AS_THEY_ARE.items())
def test_a_resize_never_enlarges_unless_told(
    client: httpx.Client, plain: bytes, fit: str, size: tuple[int, int]
) -> None:
    same = wait_for_image(
        client, submit_operation(client, "resize", plain, width=200, height=200, fit=fit, format="png")
    )

    assert same.size == size


@pytest.mark.parametrize(("fit", "size"), FITS_ENLARGED.items())
def test_a_resize_enlarges_when_told(client: httpx.Client, plain: bytes, fit: str, size: tuple[int, int]) -> None:
    larger = wait_for_image(
        client, submit_operation(client, "resize", plain, width=200, height=200, fit=fit, enlarge="true")
    )

    assert larger.size == size


def test_cover_cuts_off_evenly_and_fill_stretches(client: httpx.Client, plain: bytes) -> None:
    fields: dict[str, object] = {"width": 32, "height": 32, "format": "png"}

    task_ids = [submit_operation(client, "resize", plain, fit=fit, **fields) for fit in ("cover", "fill")]
    covered, filled = (wait_for_image(client, task_id) for task_id in task_ids)

    square = photo(*SIZE).crop((16, 0, 80, 64))
    assert difference(covered, square.resize((32, 32), Image.Resampling.LANCZOS)) < 3
    assert difference(filled, photo(*SIZE).resize((32, 32), Image.Resampling.LANCZOS)) < 3


def test_contain_fills_its_box_up_with_the_background(client: httpx.Client, plain: bytes) -> None:
    task_id = submit_operation(client, "resize", plain, width=96, height=96, background="#0000ff", format="png")

    boxed = wait_for_image(client, task_id)

    assert boxed.getpixel((2, 2)) == boxed.getpixel((93, 93)) == (0, 0, 255)
    assert difference(boxed.crop((0, 16, 96, 80)), photo(*SIZE)) == 0


def test_contain_leaves_the_rest_of_the_box_open_where_there_is_alpha(client: httpx.Client, holed: bytes) -> None:
    boxed = wait_for_image(client, submit_operation(client, "resize", holed, width=96, height=96, background="#0000ff"))

    assert (boxed.format, boxed.size) == ("WEBP", (96, 96))
    assert boxed.convert("RGBA").getpixel((2, 2))[3] == 0  # type: ignore[index]


def test_a_result_over_the_side_limit_fails(client: httpx.Client) -> None:
    tower = encode_image(photo(64, 96))

    job = wait_for_end(client, submit_operation(client, "resize", tower, width=16_000, enlarge="true"))

    assert (job["status"], job["failure"]["code"]) == ("failed", "invalid_operation")
    found = {error["pointer"]: (error["limit"], error["actual"]) for error in job["failure"]["errors"]}
    assert found == {"/height": (16_384, 24_000), "/pixels": (50_000_000, 384_000_000)}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("post", POSTS)
def test_every_post_makes_every_format(client: httpx.Client, plain: bytes, post: str, format_: str) -> None:
    fields = {"format": format_} | POSTS[post]

    job = wait_for_end(client, submit_operation(client, post, plain, **fields))

    response = client.get(job["links"]["result"])
    assert decode_image(response.content).format == FORMATS[format_]
    assert response.headers["content-type"] == f"image/{format_}"
    assert {made["media_type"] for made in job["renditions"].values()} == {f"image/{format_}"}


@pytest.mark.parametrize("format_", ["jpeg", "webp", "avif"])
def test_a_lower_quality_takes_fewer_bytes(client: httpx.Client, plain: bytes, format_: str) -> None:
    task_ids = [
        submit_operation(client, "grayscale", plain, format=format_, quality=quality) for quality in (5, 50, 95)
    ]

    sizes = [job["summary"]["bytes"] for job in wait_for_all(client, task_ids)]

    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("post", POSTS)
def test_auto_is_jpeg_for_an_opaque_image_and_webp_for_alpha(
    client: httpx.Client, plain: bytes, holed: bytes, post: str
) -> None:
    task_ids = [submit_operation(client, post, content, **POSTS[post]) for content in (plain, holed)]

    opaque, open_ = (wait_for_image(client, task_id) for task_id in task_ids)

    assert (opaque.format, open_.format) == ("JPEG", "WEBP")
    assert open_.convert("RGBA").getchannel("A").getextrema() == (0, 255)


@pytest.mark.parametrize("post", POSTS)
def test_alpha_is_laid_on_the_background_where_the_format_has_none(
    client: httpx.Client, holed: bytes, post: str
) -> None:
    fields = {"format": "jpeg", "background": "#00c800"} | POSTS[post]

    flat = wait_for_image(client, submit_operation(client, post, holed, **fields)).convert("RGB")

    ground = (117, 117, 117) if post == "grayscale" else (0, 200, 0)
    assert flat.getpixel((1, 1)) == pytest.approx(ground, abs=6)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_works_on_the_original_of_an_earlier_job(
    client: httpx.Client, source: dict[str, Any], plain: bytes, operation: str
) -> None:
    fields = {"format": "png"} | OPERATIONS[operation]
    direct = wait_for_image(client, submit_operation(client, operation, plain, **fields))

    response = client.post(f"/{operation}", files={"source_task_id": (None, source["task_id"])}, data=fields)

    task_id = response.json()["task_id"]
    assert response.status_code == 202
    assert difference(wait_for_image(client, task_id), direct) == 0
    assert get_status(client, task_id)["source_task_id"] == source["task_id"]


def test_an_operation_outlives_its_source(client: httpx.Client, plain: bytes) -> None:
    source_id = wait_for_end(client, submit_photo(client, plain))["task_id"]
    form = {"source_task_id": (None, source_id), "width": (None, "48")}
    first = client.post("/resize", files=form).json()["task_id"]

    client.delete(f"/jobs/{source_id}").raise_for_status()

    assert wait_for_image(client, first).size == (48, 32)
    second = client.post("/resize", files={"source_task_id": (None, first), "width": (None, "24")}).json()["task_id"]
    assert wait_for_image(client, second).size == (24, 16)
    assert client.post("/resize", files=form).json()["code"] == "job_not_found"


def test_an_unknown_source_is_404(client: httpx.Client) -> None:
    response = client.post("/grayscale", files={"source_task_id": (None, "nope")})

    assert (response.status_code, response.json()["code"]) == (404, "job_not_found")


def test_a_source_that_failed_is_gone(client: httpx.Client, broken: dict[str, Any]) -> None:
    response = client.post("/grayscale", files={"source_task_id": (None, broken["task_id"])})

    assert (response.status_code, response.json()["code"]) == (409, "source_gone")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_file_and_a_source_are_one_too_many(
    client: httpx.Client, source: dict[str, Any], plain: bytes, blob_folder: Path, operation: str
) -> None:
    before = set(blob_folder.iterdir())
    fields = {"source_task_id": source["task_id"]} | OPERATIONS[operation]

    response = post_operation(client, operation, plain, **fields)

    assert (response.status_code, response.json()["code"]) == (422, "too_many_files")
    assert set(blob_folder.iterdir()) <= before


@pytest.mark.parametrize("operation", OPERATIONS)
def test_neither_a_file_nor_a_source_is_too_little(client: httpx.Client, operation: str) -> None:
    fields = {"format": "auto"} | OPERATIONS[operation]

    response = client.post(f"/{operation}", files={name: (None, str(value)) for name, value in fields.items()})

    assert (response.status_code, response.json()["code"]) == (422, "file_missing")


def test_a_source_is_not_for_uploads(client: httpx.Client, source: dict[str, Any]) -> None:
    response = client.post("/upload", files={"source_task_id": (None, source["task_id"])})

    assert (response.status_code, response.json()["code"]) == (422, "file_missing")


def test_an_operation_runs_its_three_stages_in_order(resized: dict[str, Any]) -> None:
    stages = resized["stages"]

    assert list(stages) == ["validate", "transform", "finalize"]
    assert {stage["state"] for stage in stages.values()} == {"done"}
    assert_in_order(stages, "validate", "transform")
    assert_in_order(stages, "transform", "finalize")
    assert stages["transform"]["worker"].startswith("transform@")


def test_the_status_of_an_operation_says_what_was_asked_and_what_was_made(resized: dict[str, Any]) -> None:
    made = resized["renditions"]["output"]

    assert (resized["kind"], resized["status"], resized["progress"]) == ("resize", "done", 1)
    assert resized["operation"]["parameters"]["width"] == 48
    assert list(resized["renditions"]) == ["output"]
    assert (made["width"], made["height"], made["media_type"]) == (48, 32, "image/jpeg")
    assert resized["summary"]["bytes"] == made["bytes"]
    assert made["url"] == f"{resized['links']['result']}/output"


def test_the_output_is_the_result(client: httpx.Client, resized: dict[str, Any]) -> None:
    unnamed = client.get(resized["links"]["result"])
    output = client.get(resized["renditions"]["output"]["url"])

    assert unnamed.content == output.content
    assert unnamed.headers["etag"] == output.headers["etag"]
    assert len(output.content) == resized["renditions"]["output"]["bytes"]


def test_an_operation_has_no_previews(client: httpx.Client, resized: dict[str, Any]) -> None:
    response = client.get(f"/result/{resized['task_id']}/small")

    assert (response.status_code, response.json()["code"]) == (404, "rendition_not_found")


def test_the_output_of_a_failed_operation_is_409_and_says_why(client: httpx.Client, plain: bytes) -> None:
    job = wait_for_end(client, submit_operation(client, "crop", plain, left=90, top=0, width=90, height=9))

    response = client.get(f"/result/{job['task_id']}/output")

    assert (response.status_code, response.json()["code"]) == (409, "job_failed")
    assert response.json()["failure"]["errors"][0]["pointer"] == "/width"

"""One photo through the whole canvas, over real sockets."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import ImageColor, ImageStat

from tests.integration.api_helpers import assert_in_order, submit_photo, upload, wait_for_end, wait_until
from tests.support.images import decode_image, encode_image, exif, photo

pytestmark = pytest.mark.documents
STAGES = ["validate", "normalize", "small", "medium", "large", "finalize"]


@pytest.fixture(scope="module")
def phone_photo() -> bytes:
    return encode_image(photo(2000, 1500), "jpeg", exif=exif(6))


@pytest.fixture(scope="module")
def job(client: httpx.Client, phone_photo: bytes) -> dict[str, Any]:
    return wait_for_end(client, submit_photo(client, phone_photo, "holiday.jpg"))


def test_upload_answers_202_with_where_to_look(client: httpx.Client, phone_photo: bytes) -> None:
    response = upload(client, phone_photo)

    body = response.json()
    assert response.status_code == 202
    assert body["status"] == "accepted"
    assert response.headers["location"] == body["links"]["status"] == f"/task-status/{body['task_id']}"
    assert int(response.headers["retry-after"]) >= 1


def test_every_stage_is_done_once_and_in_order(job: dict[str, Any]) -> None:
    stages = job["stages"]

    assert job["status"] == "done"
    assert job["progress"] == 1
    assert list(stages) == STAGES
    assert {stage["state"] for stage in stages.values()} == {"done"}
    assert {stage["attempts"] for stage in stages.values()} == {1}
    assert_in_order(stages, "validate", "normalize")
    for name in ("small", "medium", "large"):
        assert_in_order(stages, "normalize", name)
        assert_in_order(stages, name, "finalize")


def test_every_stage_tells_its_wait_its_run_and_its_worker(job: dict[str, Any]) -> None:
    for name, stage in job["stages"].items():
        pool = "resize" if name in ("small", "medium", "large") else name
        assert stage["worker"].startswith(f"{pool}@")
        assert stage["queue_wait_ms"] >= 0
        assert stage["run_ms"] >= 0


@pytest.mark.parametrize(("rendition", "edge"), [("small", 160), ("medium", 640), ("large", 1600)])
def test_previews_are_upright_bounded_and_without_metadata(
    client: httpx.Client, job: dict[str, Any], rendition: str, edge: int
) -> None:
    content = client.get(f"/result/{job['task_id']}/{rendition}").raise_for_status().content

    image = decode_image(content)
    assert image.size == (edge * 3 // 4, edge)
    assert image.mode == "RGB"
    assert not image.getexif()
    assert not {"exif", "icc_profile", "xmp", "comment"} & set(image.info)


def test_a_placeholder_is_that_of_the_photo(job: dict[str, Any]) -> None:
    mean = ImageStat.Stat(photo(2000, 1500)).mean
    assert ImageColor.getrgb(job["placeholder"]["color"]) == pytest.approx(mean, abs=4)
    assert b64decode(job["placeholder"]["thumbhash"])


def test_result_without_a_name_is_the_largest_preview(client: httpx.Client, job: dict[str, Any]) -> None:
    unnamed = client.get(f"/result/{job['task_id']}")
    large = client.get(f"/result/{job['task_id']}/large")

    assert unnamed.content == large.content


def test_result_carries_its_digest_and_is_harmless_in_a_browser(client: httpx.Client, job: dict[str, Any]) -> None:
    response = client.get(f"/result/{job['task_id']}/small")

    digest = hashlib.sha256(response.content)
    told = response.headers["repr-digest"].removeprefix("sha-256=:").removesuffix(":")
    assert b64decode(told) == digest.digest()
    assert response.headers["etag"] == f'"{digest.hexdigest()}"' == f'"{job["renditions"]["small"]["sha256"]}"'
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "private, no-cache"
    assert "holiday-small.jpg" in response.headers["content-disposition"]


def test_result_is_304_for_who_has_it(client: httpx.Client, job: dict[str, Any]) -> None:
    url = f"/result/{job['task_id']}/small"
    etag = client.get(url).headers["etag"]

    response = client.get(url, headers={"If-None-Match": f'"other", W/{etag}'})

    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["etag"] == etag


def test_result_serves_a_range(client: httpx.Client, job: dict[str, Any]) -> None:
    url = f"/result/{job['task_id']}/small"
    whole = client.get(url).content

    response = client.get(url, headers={"Range": "bytes=10-19"})

    assert response.status_code == 206
    assert response.content == whole[10:20]
    assert response.headers["content-range"] == f"bytes 10-19/{len(whole)}"


def test_result_serves_everything_when_if_range_names_other_bytes(client: httpx.Client, job: dict[str, Any]) -> None:
    url = f"/result/{job['task_id']}/small"

    response = client.get(url, headers={"Range": "bytes=10-19", "If-Range": '"other"'})

    assert response.status_code == 200


def test_result_refuses_a_range_outside(client: httpx.Client, job: dict[str, Any]) -> None:
    size = job["renditions"]["small"]["bytes"]

    response = client.get(f"/result/{job['task_id']}/small", headers={"Range": f"bytes={size}-"})

    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{size}"
    assert response.json()["code"] == "range_not_satisfiable"


def test_head_tells_the_size_without_the_bytes(client: httpx.Client, job: dict[str, Any]) -> None:
    response = client.head(f"/result/{job['task_id']}/small")

    assert int(response.headers["content-length"]) == job["renditions"]["small"]["bytes"]
    assert response.content == b""


def test_only_the_original_and_the_renditions_are_kept(blob_folder: Path, job: dict[str, Any]) -> None:
    kept = sorted(path.name for path in (blob_folder / job["task_id"]).iterdir())

    assert kept == ["large.1", "medium.1", "original", "small.1"]


def test_a_small_photo_is_never_enlarged(client: httpx.Client) -> None:
    job = wait_for_end(client, submit_photo(client, encode_image(photo(300, 200), "jpeg")))

    sizes = {name: (made["width"], made["height"]) for name, made in job["renditions"].items()}
    assert sizes == {"small": (160, 107), "medium": (300, 200), "large": (300, 200)}


def test_unknown_job_is_404(client: httpx.Client) -> None:
    for url in ("/task-status/nope", "/result/nope", "/result/nope/small"):
        response = client.get(url)
        assert response.status_code == 404
        assert response.json()["code"] == "job_not_found"
        assert response.headers["content-type"] == "application/problem+json"


def test_unknown_rendition_is_404_and_names_those_there_are(client: httpx.Client, job: dict[str, Any]) -> None:
    response = client.get(f"/result/{job['task_id']}/huge")

    assert response.status_code == 404
    assert response.json()["code"] == "rendition_not_found"
    assert "small, medium, large" in response.json()["detail"]


def test_result_of_a_running_job_is_409_with_retry_after(client: httpx.Client, stack: Any) -> None:
    stack.stop_process("validate")
    try:
        task_id = submit_photo(client, encode_image(photo(), "jpeg"))
        response = client.get(f"/result/{task_id}")
    finally:
        stack.start_process("validate")

    assert response.status_code == 409
    assert response.json()["code"] == "not_ready"
    assert int(response.headers["retry-after"]) >= 1
    assert wait_for_end(client, task_id)["status"] == "done"


def test_docs_and_openapi_are_served(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").raise_for_status().json()["paths"]

    assert client.get("/docs").status_code == 200
    assert {"/upload", "/task-status/{task_id}", "/result/{task_id}", "/readyz"} <= set(paths)


def test_ready_names_each_dependency_with_its_time(client: httpx.Client) -> None:
    def is_ready() -> bool:
        return bool(client.get("/readyz").json()["status"] == "ready")

    wait_until(is_ready, "the gateway to be ready")
    checks = client.get("/readyz").json()["checks"]

    assert set(checks) == {"mongo", "redis", "blobs", "disk"}
    assert all(check["ok"] and check["ms"] >= 0 for check in checks.values())

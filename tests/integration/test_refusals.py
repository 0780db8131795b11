"""What is not an image is refused with its own code, and nothing of it stays behind."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.api_helpers import submit_photo, upload, wait_for_end, wait_until
from tests.support.images import encode_image, photo


def _png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def _folders(blob_folder: Path) -> set[str]:
    return {path.name for path in blob_folder.iterdir()}


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        pytest.param(b"", 422, "empty_file", id="empty"),
        pytest.param(b"Dear diary, this is no photo. " * 9, 415, "unsupported_format", id="text named .jpg"),
        pytest.param(_png_header(10_000, 6_000) + b"\0" * 64, 413, "image_too_large", id="60 MP PNG header"),
        pytest.param(b"\xff\xd8\xff\xe0" + b"\0" * (25 * 1024 * 1024), 413, "upload_too_large", id="over the limit"),
    ],
)
def test_upload_is_refused_where_it_can_be_known(
    client: httpx.Client, blob_folder: Path, content: bytes, status: int, code: str
) -> None:
    before = _folders(blob_folder)

    response = upload(client, content)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert _folders(blob_folder) <= before  # of refused images, they are removed a while after


def test_truncated_jpeg_is_a_failed_job_with_nothing_left(client: httpx.Client, blob_folder: Path) -> None:
    whole = encode_image(photo(1200, 900), "jpeg")

    job = wait_for_end(client, submit_photo(client, whole[: len(whole) // 2]))

    assert job["status"] == "failed"
    assert job["failure"]["code"] == "image_truncated"
    assert job["failure"]["stage"] == "normalize"
    assert job["stages"]["normalize"]["state"] == "failed"
    assert job["renditions"] == {}
    wait_until(lambda: job["task_id"] not in _folders(blob_folder), "the blobs to go")


def test_result_of_a_failed_job_is_409_and_says_why(client: httpx.Client) -> None:
    whole = encode_image(photo(1200, 900), "jpeg")
    job = wait_for_end(client, submit_photo(client, whole[: len(whole) // 2]))

    response = client.get(f"/result/{job['task_id']}/small")

    assert response.status_code == 409
    assert response.json()["code"] == "job_failed"
    assert response.json()["failure"]["code"] == "image_truncated"


def test_a_bad_image_is_not_retried(client: httpx.Client) -> None:
    whole = encode_image(photo(1200, 900), "jpeg")

    job = wait_for_end(client, submit_photo(client, whole[: len(whole) // 2]))

    assert job["stages"]["normalize"]["attempts"] == 1
    assert job["generation"] == 0


def test_a_chunked_body_over_the_limit_stops_being_read(client: httpx.Client, blob_folder: Path) -> None:
    before, sent = _folders(blob_folder), 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n\xff\xd8\xff\xe0'
        for _ in range(400):
            sent += 1024 * 1024
            yield b"\0" * (1024 * 1024)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        response = client.post("/upload", content=body(), headers=headers, timeout=httpx.Timeout(30, write=3))
    except (httpx.WriteError, httpx.ReadError, httpx.WriteTimeout):
        response = None  # the gateway reads no more, and closes while we are still sending, which is its right

    assert response is None or (response.status_code, response.json()["code"]) == (413, "upload_too_large")
    assert sent < 200 * 1024 * 1024
    assert _folders(blob_folder) <= before  # of refused images, they are removed a while after


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        pytest.param([], 422, "file_missing", id="no file"),
        pytest.param([("file", ("a.jpg", encode_image(photo(), "jpeg")))] * 2, 422, "too_many_files", id="two files"),
        pytest.param([("quality", ("a.jpg", encode_image(photo(), "jpeg")))], 422, "invalid_form", id="text field"),
    ],
)
def test_a_form_that_is_not_as_it_should_be_is_refused(
    client: httpx.Client,
    blob_folder: Path,
    files: list[tuple[str, tuple[str, bytes]]],
    status: int,
    code: str,
) -> None:
    before = _folders(blob_folder)
    boundary = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'
        % (field.encode(), name.encode(), content)
        for field, (name, content) in files
    )

    response = client.post(
        "/upload", content=boundary + b"--x--\r\n", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert _folders(blob_folder) <= before  # of refused images, they are removed a while after


def test_a_body_that_is_no_form_is_refused(client: httpx.Client) -> None:
    response = client.post("/upload", json={"file": "no"})

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_the_frameworks_own_errors_are_problems_too(client: httpx.Client) -> None:
    for response, code in ((client.get("/upload"), 405), (client.get("/nowhere"), 404)):
        assert response.status_code == code == response.json()["status"]
        assert response.headers["content-type"] == "application/problem+json"

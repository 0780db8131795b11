"""Hostile files, forms and connections: each is answered clearly, and nothing of it stays, grows or falls over."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import httpx
import pytest
from PIL import Image

from deploy.local.stack import Stack
from gateway.submission.media_types import ACCEPTED
from storage.documents import ASSETS_FOLDER
from tests.integration import hostile_files, raw_http
from tests.integration.api_helpers import submit_operation, submit_photo, upload, wait_for_end, wait_until
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import encode_image, photo

GIB = 1024**3
BLOBS = re.compile(r"original|[a-z][a-z0-9_]*(@[0-9.]+x)?(\.[a-z]+)?\.\d+")
DISPOSITION = r"""inline; (?:filename="[^"\\/]+"; )?filename\*=UTF-8''([A-Za-z0-9._~%-]+)"""  # RFC 6266 and RFC 8187
PHOTO = encode_image(photo(20, 20), "jpeg")
FORM = raw_http.form(raw_http.part("file", encode_image(photo(200, 200)), b"photo.png"))


@pytest.fixture(scope="module")
def before(stack: Stack) -> dict[str, Any]:
    """What there was before all this: process ids, what they had logged, and blobs."""
    return {
        "pids": {name: stack.pid(name) for name in stack.processes},
        "logged": {name: len(stack.log(name)) for name in stack.processes},
        "folders": _folders(stack.blob_folder),
    }


@pytest.fixture(scope="module")
def unhurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with the time limits of production, which a busy machine needs for the heaviest images."""
    with Stack(tmp_path_factory.mktemp("unhurried"), shared_pool=1) as stack:
        yield stack


@pytest.fixture(scope="module")
def accepted_ids() -> set[str]:
    return set()


@pytest.fixture(scope="module")
def visitor(stack: Stack, before: dict[str, Any], accepted_ids: set[str]) -> Iterator[httpx.Client]:  # noqa: ARG001
    """A client that looks at every answer, and remembers what it sent."""

    def look_at(response: httpx.Response) -> None:
        response.read()
        assert response.status_code < 500, response.text
        assert b"Traceback" not in response.content
        if response.status_code == 202:
            accepted_ids.add(response.json()["task_id"])

    with httpx.Client(
        base_url=stack.url, timeout=30, **HTTP_CLIENT_OPTIONS, event_hooks={"response": [look_at]}
    ) as client:
        yield client


@pytest.fixture(scope="module")
def done_id(visitor: httpx.Client) -> str:
    return str(wait_for_end(visitor, submit_photo(visitor, PHOTO))["task_id"])


@pytest.fixture(scope="module")
def refusals(visitor: httpx.Client) -> set[str]:
    """The codes that a job may fail with, as documented."""
    return set(visitor.get("/capabilities").json()["refusals"])


def _folders(blob_folder: Path) -> set[str]:
    return {path.name for path in blob_folder.iterdir()}


def _post(client: httpx.Client, *parts: bytes) -> httpx.Response:
    return client.post("/upload", content=raw_http.form(*parts), headers={"Content-Type": raw_http.FORM_TYPE})


def _upload_named(client: httpx.Client, name: bytes) -> httpx.Response:
    return _post(client, raw_http.part("file", PHOTO, name))


def _verdict(client: httpx.Client, content: bytes) -> tuple[str, str]:
    """Return where a file was refused, and with which code."""
    response = upload(client, content)
    if response.status_code != 202:
        return "upload", response.json()["code"]
    job = wait_for_end(client, response.json()["task_id"])
    assert job["status"] == "failed", job["failure"]
    return job["failure"]["stage"], job["failure"]["code"]


@pytest.mark.parametrize("content", hostile_files.UNSUPPORTED_FILES.values(), ids=hostile_files.UNSUPPORTED_FILES)
def test_what_is_no_image_is_refused_at_once_whatever_its_name(visitor: httpx.Client, content: bytes) -> None:
    response = upload(visitor, content, "holiday.jpg")

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_format")


@pytest.mark.parametrize("content", hostile_files.POLYGLOTS.values(), ids=hostile_files.POLYGLOTS)
def test_of_what_hides_in_an_image_nothing_comes_out(visitor: httpx.Client, content: bytes) -> None:
    job = wait_for_end(visitor, submit_photo(visitor, content))

    assert job["status"] == "done"
    for made in job["renditions"].values():
        response = visitor.get(made["url"])
        assert b"script" not in response.content
        assert response.headers["content-type"] == "image/jpeg"
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("content", hostile_files.BOMBS.values(), ids=hostile_files.BOMBS)
def test_a_bomb_is_refused_with_a_documented_code(visitor: httpx.Client, refusals: set[str], content: bytes) -> None:
    start = time.monotonic()

    _, code = _verdict(visitor, content)

    assert code in refusals & {"image_too_large", "too_many_frames", "image_corrupt"}
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("name", hostile_files.FORMATS)
def test_a_file_cut_short_is_refused_as_truncated(visitor: httpx.Client, name: str) -> None:
    if name not in visitor.get("/capabilities").json()["accepts"]:
        pytest.skip(f"{name} is not accepted here")
    content = hostile_files.encode_valid(name)

    assert _verdict(visitor, content[: len(content) * 2 // 3])[1] == "image_truncated"


@pytest.mark.parametrize("name", hostile_files.FORMATS)
def test_a_damaged_file_is_refused_as_corrupt(visitor: httpx.Client, name: str) -> None:
    if name not in visitor.get("/capabilities").json()["accepts"]:
        pytest.skip(f"{name} is not accepted here")

    assert _verdict(visitor, hostile_files.encode_damaged(name))[1] == "image_corrupt"


def test_a_png_with_a_wrong_checksum_is_refused_as_corrupt(visitor: httpx.Client) -> None:
    content = bytearray(encode_image(photo()))
    content[content.index(b"IDAT") + 600] ^= 1

    assert _verdict(visitor, bytes(content)) == ("validate", "image_corrupt")


def test_a_file_of_its_signature_alone_is_refused(visitor: httpx.Client) -> None:
    for head in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"\0\0\0\x18ftypavif"):
        assert _verdict(visitor, head)[1] in {"image_truncated", "image_corrupt"}


@pytest.mark.parametrize(("post", "content"), hostile_files.HEAVIEST.values(), ids=hostile_files.HEAVIEST)
def test_the_heaviest_images_allowed_are_done(unhurried: Stack, post: str, content: Any) -> None:
    with httpx.Client(base_url=unhurried.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        task_id = submit_operation(client, post, content(), format="jpeg")

        assert wait_for_end(client, task_id)["status"] == "done"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited on Linux only")
def test_an_image_that_needs_more_memory_than_a_child_may_take_is_refused(visitor: httpx.Client) -> None:
    content = encode_image(Image.new("RGBA", (7000, 7000), (1, 2, 3, 4)), "webp", lossless=True, method=0, quality=0)

    job = wait_for_end(visitor, submit_operation(visitor, "grayscale", content, format="jpeg"))

    assert (job["status"], job["failure"]["code"]) == ("failed", "image_needs_too_much_memory")
    assert [stage["attempts"] for stage in job["stages"].values()] == [1, 1, 0]


def test_ten_thousand_fields_are_too_many(visitor: httpx.Client) -> None:
    response = _post(visitor, *[raw_http.part(f"field{number}", b"1") for number in range(10_000)])

    assert (response.status_code, response.json()["code"]) == (422, "too_many_parts")


def test_a_field_of_a_megabyte_is_refused(visitor: httpx.Client) -> None:
    response = _post(visitor, raw_http.part("format", b"x" * 1024 * 1024))

    assert (response.status_code, response.json()["code"]) == (422, "invalid_form")


@pytest.mark.parametrize("path", ["/upload", "/crop", "/grayscale", "/resize"])
@pytest.mark.parametrize(
    ("parts", "code"),
    [
        pytest.param([], "file_missing", id="no file"),
        pytest.param([raw_http.part("file", PHOTO, b"a.jpg")] * 2, "too_many_files", id="two files"),
        pytest.param([raw_http.part("file", b"", b"a.jpg")], "empty_file", id="an empty file"),
        pytest.param([raw_http.part("quality", PHOTO, b"a.jpg")], "invalid_form", id="a file in a field of text"),
    ],
)
def test_a_form_without_just_one_file_is_refused(
    visitor: httpx.Client, path: str, parts: list[bytes], code: str
) -> None:
    aspect = [raw_http.part("aspect", b"1:1")] if path == "/crop" else []
    width = [raw_http.part("width", b"9")] if path == "/resize" else []

    response = visitor.post(
        path, content=raw_http.form(*aspect, *width, *parts), headers={"Content-Type": raw_http.FORM_TYPE}
    )

    assert (response.status_code, response.json()["code"]) == (422, code)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\r\n" * 50_000, id="blank lines"),
        pytest.param(PHOTO, id="a photo that is no form"),
        pytest.param(FORM[:-20], id="no last boundary"),
        pytest.param(b"--%s\r\nnonsense\r\n\r\n" % raw_http.BOUNDARY, id="a header without a colon"),
        pytest.param(b"--%s\r\n%s\r\n" % (raw_http.BOUNDARY, b"X: y\r\n" * 5000), id="endless headers"),
        pytest.param(raw_http.form(raw_http.part("file", PHOTO, b"x" * 10_000)), id="a name of 10 kB"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_malformed_form(visitor: httpx.Client, body: bytes) -> None:
    response = visitor.post("/upload", content=body, headers={"Content-Type": raw_http.FORM_TYPE})

    assert (response.status_code, response.json()["code"]) == (400, "malformed_form")


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="',
        f"multipart/form-data; boundary={'x' * 300}",
    ],
)
def test_a_form_without_a_proper_boundary_is_malformed(visitor: httpx.Client, content_type: str) -> None:
    response = visitor.post("/upload", content=FORM, headers={"Content-Type": content_type})

    assert (response.status_code, response.json()["code"]) == (400, "malformed_form")


@pytest.mark.parametrize("path", ["/upload", "/crop", "/grayscale", "/resize"])
@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/mixed; boundary=a-boundary"])
def test_a_body_of_another_type_is_refused(visitor: httpx.Client, path: str, content_type: str) -> None:
    response = visitor.post(path, content=FORM, headers={"Content-Type": content_type})

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    assert response.headers["accept-post"] == response.headers["accept"] == ACCEPTED


@pytest.mark.parametrize(
    "name",
    [
        "fête-☃-猫.jpg".encode(),
        b"%2e%2e/%2e%2e/evil.jpg",
        b"../../evil.jpg",
        b"..\\..\\evil.jpg",
        b"/etc/passwd",
        b"evil\0.jpg",
        b"evil\n.jpg",
        b"..",
        b".jpg",
        b"\xff\xfe.jpg",
        b'<script>"alert(1)".jpg',
        b"e" * 3000,
    ],
)
def test_a_files_name_is_a_label_and_no_path(visitor: httpx.Client, stack: Stack, name: bytes) -> None:
    job = wait_for_end(visitor, _upload_named(visitor, name).json()["task_id"])

    disposition = visitor.get(f"/result/{job['task_id']}/small").headers["content-disposition"]
    shown = re.fullmatch(DISPOSITION, disposition)
    assert job["status"] == "done"
    assert shown
    assert "/" not in unquote(shown[1], errors="strict")
    assert unquote(shown[1]).endswith("-small.jpg")
    kept = {path.name for path in (stack.blob_folder / job["task_id"]).iterdir()}
    assert kept == {"original", "small.1", "medium.1", "large.1"}


def test_a_name_in_any_script_comes_back(visitor: httpx.Client) -> None:
    job = wait_for_end(visitor, _upload_named(visitor, "fête-☃-猫.jpg".encode()).json()["task_id"])

    disposition = visitor.get(f"/result/{job['task_id']}/small").headers["content-disposition"]

    assert job["original"]["name"] == "fête-☃-猫.jpg"
    assert unquote(disposition.partition("''")[2]) == "fête-☃-猫-small.jpg"


def test_blobs_are_kept_under_our_own_names_only(visitor: httpx.Client, stack: Stack) -> None:
    wait_for_end(visitor, submit_photo(visitor, PHOTO))

    for folder in stack.blob_folder.iterdir():
        if folder.name == ASSETS_FOLDER:
            continue
        assert str(UUID(folder.name)) == folder.name
        with suppress(FileNotFoundError):  # it was removed meanwhile, by the end of another test's upload
            assert all(BLOBS.fullmatch(path.name) for path in folder.iterdir() if "#" not in path.name)


@pytest.mark.parametrize(
    "path",
    [
        "/task-status/%00",
        "/task-status/%ff%fe",
        "/task-status/$ne",
        f"/task-status/{'x' * 5000}",
        "/result/..%2f..%2fetc%2fpasswd",
        "/result/%2e%2e%2f%2e%2e%2fetc%2fpasswd/small",
        "//etc/passwd",
        "/jobs/%00",
    ],
)
def test_an_address_of_nothing_is_404(visitor: httpx.Client, path: str) -> None:
    response = visitor.get(path)

    assert response.status_code in {404, 405}
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["original", "master", "small.1", "%2e%2e", "__class__", "SMALL", "%00"])
def test_nothing_but_renditions_is_served(visitor: httpx.Client, done_id: str, name: str) -> None:
    response = visitor.get(f"/result/{done_id}/{name}")

    assert (response.status_code, response.json()["code"]) == (404, "rendition_not_found")


def test_a_body_that_ends_before_it_said_leaves_nothing(visitor: httpx.Client, stack: Stack) -> None:
    before = _folders(stack.blob_folder)
    with raw_http.open_socket(stack.url) as broken:
        broken.sendall(raw_http.build_head(stack.url, "/upload", Content_Length=len(FORM) + 5000) + FORM)
        broken.shutdown(socket.SHUT_WR)
        while broken.recv(4096):
            pass

    wait_until(lambda: _folders(stack.blob_folder) <= before, "the blob to go")
    assert visitor.get("/livez").status_code == 200


def test_a_body_that_goes_on_after_it_said_is_refused(visitor: httpx.Client, stack: Stack) -> None:
    before = _folders(stack.blob_folder)
    with raw_http.open_socket(stack.url) as chatty:
        chatty.sendall(raw_http.build_head(stack.url, "/upload", Content_Length=len(FORM) // 2) + FORM)
        response, body = raw_http.read_response(chatty)

    assert response.status == 400
    assert b"Traceback" not in body
    wait_until(lambda: _folders(stack.blob_folder) <= before, "the blob to go")
    assert visitor.get("/livez").status_code == 200


def test_a_body_that_stalls_holds_up_nobody_and_leaves_nothing(visitor: httpx.Client, stack: Stack) -> None:
    before = _folders(stack.blob_folder)
    with raw_http.open_socket(stack.url) as first, raw_http.open_socket(stack.url) as second:
        for stalled in (first, second):
            stalled.sendall(
                raw_http.build_head(stack.url, "/upload", Content_Length=len(FORM)) + FORM[: len(FORM) // 2]
            )
        served = wait_for_end(visitor, submit_photo(visitor, PHOTO))

    assert served["status"] == "done"
    wait_until(lambda: _folders(stack.blob_folder) <= before | {served["task_id"]}, "the blobs to go")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Content_Length": "-5"}, id="a negative length"),
        pytest.param({"Content_Length": "many"}, id="a length that is no number"),
        pytest.param({"Content_Length": "5", "Transfer_Encoding": "chunked"}, id="two lengths"),
        pytest.param({"Transfer_Encoding": "chunked"}, id="a chunk without a size"),
        pytest.param({"Content_Length": "9" * 30}, id="a length beyond all"),
    ],
)
def test_a_request_that_is_not_http_is_refused(visitor: httpx.Client, stack: Stack, headers: dict[str, object]) -> None:
    with raw_http.open_socket(stack.url) as odd:
        odd.sendall(raw_http.build_head(stack.url, "/upload", **headers) + b"zz\r\n" + FORM)
        response, body = raw_http.read_response(odd)

    assert 400 <= response.status < 500
    assert b"Traceback" not in body
    assert visitor.get("/livez").status_code == 200


def test_after_all_this_the_blobs_are_what_they_were(
    visitor: httpx.Client, stack: Stack, before: dict[str, Any], accepted_ids: set[str]
) -> None:
    for task_id in accepted_ids:
        wait_for_end(visitor, task_id)
        visitor.delete(f"/jobs/{task_id}").raise_for_status()

    wait_until(lambda: _folders(stack.blob_folder) <= before["folders"], "the blobs to go")


def test_after_all_this_the_same_processes_run(visitor: httpx.Client, stack: Stack, before: dict[str, Any]) -> None:
    wait_for_end(visitor, submit_photo(visitor, PHOTO))

    assert {name: stack.pid(name) for name in stack.processes} == before["pids"]
    assert not [name for name, start in before["logged"].items() if "WorkerLostError" in stack.log(name)[start:]]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_after_all_this_no_process_has_taken_a_gibibyte(visitor: httpx.Client, stack: Stack, unhurried: Stack) -> None:
    wait_for_end(visitor, submit_photo(visitor, PHOTO))

    peaks = {
        (name, pid): _peak_bytes(pid)
        for one in (stack, unhurried)
        for name in one.processes
        for pid in (one.pid(name), *one.children(name))
    }

    assert {process: peak for process, peak in peaks.items() if peak >= GIB} == {}


def _peak_bytes(pid: int) -> int:
    """Return the most memory that a process ever had resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024

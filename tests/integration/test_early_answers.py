"""An answer that is given before the body is read reaches its client: direct, through the front and through nginx."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest

from deploy.local.stack import Stack
from storage.idempotency import IdempotencyKey
from tests.integration import raw_http
from tests.integration.api_helpers import wait_until
from tests.integration.conftest import MAX_UPLOADS_PER_CALLER, POSTS_A_MINUTE
from tests.integration.front_servers import BODY_BYTES
from tests.support.http_options import HTTP_CLIENT_OPTIONS, HTTP_OPTIONS

SIZES = [pytest.param(1_400_000, id="1.4 MB"), pytest.param(20_000_000, id="20 MB")]
PIECE = b"\0" * 65536
NEDS = {"Authorization": "Bearer key of ned"}


def body_of(size: int) -> Iterator[bytes]:
    """Write the start of a form's file in pieces."""
    yield raw_http.part("file", b"\xff\xd8\xff\xe0", b"a.jpg")[:-2]
    for _ in range(size // len(PIECE)):
        yield PIECE


def post(url: str, size: int, *, is_chunked: bool, **headers: str) -> httpx.Response:
    """Upload over a connection of its own, with a client that reads once it has written everything."""
    headers["Content-Type"] = raw_http.FORM_TYPE
    content = body_of(size) if is_chunked else b"".join(body_of(size))
    return httpx.post(f"{url}/upload", content=content, headers=headers, timeout=30, **HTTP_OPTIONS)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_chunked", [False, True], ids=["announced", "chunked"])
def test_a_client_that_writes_everything_first_sees_its_refusal(url: str, size: int, *, is_chunked: bool) -> None:
    answer = post(url, size, is_chunked=is_chunked)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("size", SIZES)
def test_a_socket_that_is_read_last_holds_the_refusal(url: str, size: int) -> None:
    content = b"".join(body_of(size))
    with raw_http.open_socket(url) as socket:
        socket.sendall(
            raw_http.build_head(url, f"{httpx.URL(url).path.rstrip('/')}/upload", Content_Length=len(content))
        )
        socket.sendall(content)
        response, body = raw_http.read_response(socket)

    assert (response.status, json.loads(body)["code"]) == (401, "unauthorized")


def test_a_refusal_comes_while_the_body_is_still_to_be_sent(url: str) -> None:
    with raw_http.open_socket(url) as socket:
        socket.sendall(raw_http.build_head(url, f"{httpx.URL(url).path.rstrip('/')}/upload", Content_Length=20_000_000))
        socket.sendall(PIECE)
        response, body = raw_http.read_response(socket)
        socket.sendall(PIECE)

    assert (response.status, json.loads(body)["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("way", ["direct", "local"])  # nginx asks for every body
def test_a_client_that_asks_first_is_not_told_to_go_on(request: pytest.FixtureRequest, way: str) -> None:
    url = request.getfixturevalue(way)
    with raw_http.open_socket(url) as socket:
        path = f"{httpx.URL(url).path.rstrip('/')}/upload"
        socket.sendall(raw_http.build_head(url, path, Content_Length=1_400_000, Expect="100-continue"))
        first = socket.recv(12)

    assert first == b"HTTP/1.1 401"


def test_a_client_that_asks_first_and_may_send_is_told_to_go_on(local: str) -> None:
    content = raw_http.form(raw_http.part("file", b"no image", b"a.jpg"))
    with raw_http.open_socket(local) as socket:
        head = {"Content_Length": len(content), "Expect": "100-continue", "Authorization": "Bearer key of kim"}
        socket.sendall(raw_http.build_head(local, "/api/upload", **head))
        first = socket.recv(64)
        socket.sendall(content)
        response, body = raw_http.read_response(socket)

    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (response.status, json.loads(body)["code"]) == (415, "unsupported_format")


def test_twenty_of_twenty_refusals_say_when_to_come_back(url: str) -> None:
    with httpx.Client(base_url=url, headers=NEDS, timeout=30, **HTTP_CLIENT_OPTIONS) as ned:
        for _ in range(POSTS_A_MINUTE):
            if ned.post("/jobs/nope/retry").status_code == 429:
                break
        headers = {"Content-Type": raw_http.FORM_TYPE}
        refusals = [ned.post("/upload", content=b"".join(body_of(1_400_000)), headers=headers) for _ in range(20)]

    assert [answer.status_code for answer in refusals] == [429] * 20
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refusals)


@pytest.mark.parametrize("is_chunked", [False, True], ids=["announced", "chunked"])
def test_a_body_over_the_limit_is_refused_with_a_problem(url: str, *, is_chunked: bool) -> None:
    answer = post(url, BODY_BYTES + 1_000_000, is_chunked=is_chunked, Authorization="Bearer key of kim")

    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert " is larger than 25 MiB." in answer.json()["detail"]


def test_a_route_that_stops_reading_answers_too(url: str) -> None:
    content = raw_http.part("quality", b"".join(body_of(20_000_000)), b"a.jpg")
    headers = {"Content-Type": raw_http.FORM_TYPE, "Authorization": "Bearer key of kim"}

    answer = httpx.post(f"{url}/upload", content=content, headers=headers, timeout=30, **HTTP_OPTIONS)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_form")


def test_an_upload_that_is_broken_off_leaves_nothing(local: str, strict_stack: Stack) -> None:
    before = _folders(strict_stack.blob_folder)
    with raw_http.open_socket(local) as socket:
        head = {"Content_Length": 20_000_000, "Authorization": "Bearer key of kim"}
        socket.sendall(raw_http.build_head(local, "/api/upload", **head))
        socket.sendall(next(body_of(0)) + PIECE)

    answer = post(local, 1_000, is_chunked=False)

    assert answer.status_code == 401
    assert _folders(strict_stack.blob_folder) <= before


def test_nodes_fetch_sees_every_refusal_whatever_the_size(url: str) -> None:
    assert fetch(url) == ["401 unauthorized"] * 5


@pytest.mark.parametrize(("way", "owner"), [("direct", "uma"), ("local", "ute"), ("nginx", "udo")])
def test_nodes_fetch_sees_that_there_are_too_many_uploads(
    request: pytest.FixtureRequest, strict_stack: Stack, way: str, owner: str
) -> None:
    url, key = request.getfixturevalue(way), f"key of {owner}"
    head = {"Content_Length": 1_000_000, "Authorization": f"Bearer {key}"}
    with ExitStack() as stalled:
        for number in range(MAX_UPLOADS_PER_CALLER):
            socket = stalled.enter_context(raw_http.open_socket(url))
            path = f"{httpx.URL(url).path.rstrip('/')}/upload"
            socket.sendall(raw_http.build_head(url, path, Idempotency_Key=number, **head) + next(body_of(0)))
        wait_until(lambda: _count_keys(strict_stack, owner) == MAX_UPLOADS_PER_CALLER, "the start of every upload")
        ends = fetch(url, key)

    assert set(ends[:4]) == {"503 too_many_uploads"}
    assert ends[4] in {"503 too_many_uploads", "413 upload_too_large"}  # a front may count the bytes itself


def fetch(url: str, key: str = "") -> list[str]:
    """Upload files of growing sizes with Node's fetch, and return how each upload ended."""
    node = shutil.which("node")
    if node is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("node is not on PATH")
    script = Path(__file__).with_name("early_fetch.mjs")
    done = subprocess.run([node, str(script), url, key], capture_output=True, text=True, check=True, timeout=120)
    ends: list[str] = json.loads(done.stdout)
    return ends


def _count_keys(stack: Stack, owner: str) -> int:
    """Count the Idempotency-Keys of an owner: an upload is counted before its key is stored."""
    mongo: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(stack.mongo_url) as mongo:
        keys: Any = mongo.get_default_database()[IdempotencyKey.Settings.name]
        return sum(key["_id"].startswith(f"{owner}:") for key in keys.find())


def _folders(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}

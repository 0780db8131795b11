"""Resumable uploads over real lines that are cut, and through gateways that are killed."""

from __future__ import annotations

import json
import signal
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pymongo

from deploy.local.stack import Stack
from tests.integration.api_helpers import wait_for_end, wait_until
from tests.integration.lone_gateway import run_lone_gateway
from tests.integration.raw_http import open_socket, read_response
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import encode_image, photo

VERSION = {"Tus-Resumable": "1.0.0"}
PHOTO = encode_image(photo(2700, 2500), "bmp")  # 20 MB
CUT_BYTES = 2_000_000
ROUNDS_WITH_A_KILL = (2, 6)


def create_upload(client: httpx.Client) -> str:
    answer = client.post("/files", headers=VERSION | {"Upload-Length": str(len(PHOTO))}).raise_for_status()
    return answer.headers["location"]


def read_offset(client: httpx.Client, path: str) -> int:
    return int(client.head(path, headers=VERSION).raise_for_status().headers["upload-offset"])


def build_head(url: str, path: str, offset: int) -> bytes:
    """Write the head of a PATCH that has all that is missing."""
    lines = [
        f"PATCH {path} HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        "Content-Type: application/offset+octet-stream",
        "Tus-Resumable: 1.0.0",
        f"Upload-Offset: {offset}",
        f"Content-Length: {len(PHOTO) - offset}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def test_an_upload_over_a_line_that_is_cut_again_and_again_through_gateways_that_are_killed(
    stack: Stack, client: httpx.Client
) -> None:
    path, offset, rounds = create_upload(client), 0, 0
    while len(PHOTO) - offset > CUT_BYTES:
        with open_socket(stack.url) as wire:
            wire.sendall(build_head(stack.url, path, offset) + PHOTO[offset : offset + CUT_BYTES])
            if rounds in ROUNDS_WITH_A_KILL:
                stack.signal("gateway", signal.SIGKILL)
                stack.wait_ready("gateway")
        if rounds not in ROUNDS_WITH_A_KILL:
            wait_until(lambda: read_offset(client, path) == offset + CUT_BYTES, "what came to be kept")  # noqa: B023
        offset, rounds = read_offset(client, path), rounds + 1
    headers = VERSION | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}

    last = client.patch(path, content=PHOTO[offset:], headers=headers).raise_for_status()

    job = wait_for_end(client, last.headers["task-id"])
    assert rounds > max(ROUNDS_WITH_A_KILL)
    assert (job["status"], job["original"]["bytes"]) == ("done", len(PHOTO))
    [original] = (stack.blob_folder / job["task_id"]).glob("original.*")
    assert sha256(original.read_bytes()).digest() == sha256(PHOTO).digest()
    assert not list((stack.blob_folder / job["task_id"]).glob("part.*"))


def test_a_last_piece_whose_answer_was_lost_finds_its_job_after_the_gateway_was_killed(
    stack: Stack, client: httpx.Client
) -> None:
    path = create_upload(client)
    with open_socket(stack.url) as wire:
        wire.sendall(build_head(stack.url, path, 0) + PHOTO)
        wait_until(lambda: read_offset(client, path) == len(PHOTO), "the job to be made")
        stack.signal("gateway", signal.SIGKILL)
        stack.wait_ready("gateway")

    headers = VERSION | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    again = client.patch(path, content=PHOTO, headers=headers).raise_for_status()

    assert again.headers["task-id"] == path.rpartition("/")[2]
    assert wait_for_end(client, again.headers["task-id"])["status"] == "done"


def test_what_has_come_when_a_gateway_stops_is_kept(redis_and_mongo: Stack, tmp_path: Path) -> None:
    sent = 100_000
    mongo: pymongo.MongoClient[dict[str, Any]]
    with (
        run_lone_gateway(redis_and_mongo, tmp_path, DARKROOM_HTTP__SHUTDOWN_TIMEOUT="0.5") as gateway,
        httpx.Client(base_url=gateway.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client,
        open_socket(gateway.url) as slow,
        pymongo.MongoClient(redis_and_mongo.mongo_url) as mongo,
    ):
        path = create_upload(client)
        slow.sendall(build_head(gateway.url, path, 0) + PHOTO[:sent])
        read_offset(client, path)  # so the gateway, which has one thread, has read the head of the PATCH, too

        gateway.process.send_signal(signal.SIGTERM)
        refused, problem = read_response(slow)
        gateway.process.wait(20)
        found = mongo.get_default_database()["resumable_uploads"].find_one({"_id": path.rpartition("/")[2]})

    assert (refused.status, json.loads(problem)["code"]) == (503, "shutting_down")
    assert found is not None
    assert found["offset"] == sent

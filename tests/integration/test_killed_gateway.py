"""A gateway killed while it receives an upload: the same upload, under the same key, is accepted soon after."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pymongo
import pytest

from deploy.local.stack import Stack
from gateway.client import Client, RetryPolicy
from tests.integration.api_helpers import wait_until
from tests.integration.raw_http import build_head, form, open_socket, part
from tests.integration.test_cli import Darkroom, collected
from tests.support.images import encode_image, photo

PHOTO = encode_image(photo(400, 300), "jpeg")
FORM = form(part("file", PHOTO, b"photo.jpg"))


@pytest.fixture
def database(stack: Stack) -> Iterator[Any]:
    mongo: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(stack.mongo_url) as mongo:
        yield mongo.get_default_database()


def kill_gateway(stack: Stack) -> None:
    stack.signal("gateway", signal.SIGKILL)
    stack.wait_ready("gateway")


def test_a_client_outwaits_the_key_that_a_killed_gateway_held(stack: Stack, database: Any) -> None:
    key = uuid4().hex
    with open_socket(stack.url) as slow:
        slow.sendall(build_head(stack.url, "/upload", Content_Length=len(FORM), Idempotency_Key=key) + FORM[:2000])
        wait_until(lambda: database.idempotency_keys.find_one({"_id": f":{key}"}) is not None, "the key to be held")
        kill_gateway(stack)

    with Client(stack.url, retry_policy=RetryPolicy(seconds=1)) as darkroom:
        job = darkroom.upload(PHOTO, name="photo.jpg", idempotency_key=key)

    assert database.jobs.find_one({"_id": job.task_id}) is not None


def test_the_command_outwaits_a_gateway_that_is_killed_while_it_receives(
    stack: Stack, database: Any, client: httpx.Client, tmp_path: Path
) -> None:
    name = f"{uuid4().hex}.bmp"
    (tmp_path / name).write_bytes(encode_image(photo(3000, 2700), "bmp"))  # 24 MB: it takes a while
    known = [key["_id"] for key in database.idempotency_keys.find()]

    command = Darkroom(tmp_path, stack.url).fork("upload", name)
    wait_until(lambda: database.idempotency_keys.find_one({"_id": {"$nin": known}}) is not None, "the key to be held")
    kill_gateway(stack)
    ended = collected(command)

    jobs = client.get("/jobs", params={"limit": 100}).raise_for_status().json()["jobs"]
    assert ended.status == 0, ended.err
    assert [job["name"] for job in jobs].count(name) == 1

"""Uploads under way when servers are told to stop: finished, or answered; new ones are refused."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pymongo
import pytest

from deploy.local.stack import Stack
from tests.integration.api_helpers import wait_until
from tests.integration.front_servers import run_local_front, run_nginx
from tests.integration.lone_gateway import LoneGateway, run_lone_gateway
from tests.integration.raw_http import build_head, form, open_socket, part, read_response
from tests.support.http_options import HTTP_OPTIONS
from tests.support.images import encode_image, photo

FORM = form(part("file", encode_image(photo(400, 300), "jpeg"), b"photo.jpg"))
LEASE_SECONDS = 1.0
PAGE = "https://app.example"


@pytest.fixture
def gateway(redis_and_mongo: Stack, tmp_path: Path) -> Iterator[LoneGateway]:
    lease = {"DARKROOM_HTTP__KEY_LEASE": str(LEASE_SECONDS)}
    others = {"DARKROOM_SWEEPER__ORPHAN_GRACE": "3600", "DARKROOM_CORS__ORIGINS": f'["{PAGE}"]'}
    with run_lone_gateway(redis_and_mongo, tmp_path, **lease, **others) as gateway:
        yield gateway


@pytest.fixture
def database(redis_and_mongo: Stack) -> Iterator[Any]:
    mongo: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(redis_and_mongo.mongo_url) as mongo:
        yield mongo.get_default_database()


def begin(url: str, wire: socket.socket, key: str, database: Any, path: str = "/upload") -> None:
    """Send half an upload, and return when its key is held."""
    wire.sendall(build_head(url, path, Content_Length=len(FORM), Idempotency_Key=key) + FORM[:2000])
    wait_until(lambda: find_lease_ms(database, key) > 0, "the key to be held")


def find_lease_ms(database: Any, key: str) -> int:
    found = database.idempotency_keys.find_one({"_id": f":{key}"})
    return int(found["expires_ms"]) if found else 0


def wait_for_renewals(database: Any, key: str) -> None:
    """Return once the lease has been renewed for longer than it lasts, twice."""
    lease_ms = find_lease_ms(database, key)
    wait_until(lambda: find_lease_ms(database, key) > lease_ms + 2000 * LEASE_SECONDS, "the lease to be renewed")


def is_refused(url: str) -> bool:
    """Whether a server takes no more connections."""
    try:
        httpx.get(url, timeout=5, **HTTP_OPTIONS)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:  # it came just when the server stopped
        return False
    return False


def test_an_upload_under_way_is_finished_and_a_new_one_is_refused(gateway: LoneGateway, database: Any) -> None:
    key = uuid4().hex
    with open_socket(gateway.url) as slow, open_socket(gateway.url) as idle, open_socket(gateway.url) as new:
        begin(gateway.url, slow, key, database)
        new_head = build_head(gateway.url, "/upload", Content_Length=len(FORM), Origin=PAGE)
        new.sendall(new_head[:-2])
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        read_response(idle)  # so the gateway, which has one thread, has read what was sent before, too

        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(gateway.url), "the gateway to stop listening")
        idle_end = idle.recv(1)
        new.sendall(new_head[-2:])
        refused, problem = read_response(new)
        wait_for_renewals(database, key)
        slow.sendall(FORM[2000:])
        accepted, answer = read_response(slow)

    assert idle_end == b""
    assert (refused.status, json.loads(problem)["code"]) == (503, "shutting_down")
    assert (refused.headers["connection"], int(refused.headers["retry-after"])) == ("close", 5)
    assert refused.headers["access-control-allow-origin"] == PAGE
    assert (accepted.status, accepted.headers["connection"]) == (202, "close")
    assert database.jobs.find_one({"_id": json.loads(answer)["task_id"]}) is not None
    assert gateway.process.wait(20) == -signal.SIGTERM


def test_an_upload_that_takes_too_long_is_answered_and_leaves_nothing(
    redis_and_mongo: Stack, tmp_path: Path, database: Any
) -> None:
    key = uuid4().hex
    with (
        run_lone_gateway(redis_and_mongo, tmp_path, DARKROOM_HTTP__SHUTDOWN_TIMEOUT="0.5") as gateway,
        open_socket(gateway.url) as slow,
    ):
        begin(gateway.url, slow, key, database)

        gateway.process.send_signal(signal.SIGTERM)
        refused, problem = read_response(slow)
        gateway.process.wait(20)

    assert (refused.status, json.loads(problem)["code"]) == (503, "shutting_down")
    assert (refused.headers["connection"], int(refused.headers["retry-after"])) == ("close", 5)
    assert find_lease_ms(database, key) == 0
    assert list(gateway.blob_folder.iterdir()) == []


@pytest.mark.parametrize("name", ["nginx", "local"])
def test_an_upload_through_a_front_that_stops_with_the_gateway_is_finished(
    gateway: LoneGateway, database: Any, tmp_path: Path, name: str
) -> None:
    key, folder = uuid4().hex, tmp_path / "front"
    folder.mkdir()
    with (
        (run_nginx if name == "nginx" else run_local_front)(gateway.url, folder) as front,
        open_socket(front.url) as slow,
    ):
        begin(front.url, slow, key, database, "/api/upload")

        front.process.send_signal(signal.SIGQUIT if name == "nginx" else signal.SIGTERM)
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(gateway.url) and is_refused(front.url), "both to stop listening")
        wait_for_renewals(database, key)
        slow.sendall(FORM[2000:])
        accepted, answer = read_response(slow)

    assert accepted.status == 202
    assert database.jobs.find_one({"_id": json.loads(answer)["task_id"]}) is not None

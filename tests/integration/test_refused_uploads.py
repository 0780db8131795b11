"""Every refusal of a large upload arrives: of many at a time, with pauses, direct and through both fronts."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from deploy.local.stack import Stack
from gateway.server.closing_transport import IDLE_SECONDS, LINGER_SECONDS
from pipeline.http_settings import HttpSettings
from tests.integration import raw_http
from tests.integration.front_servers import BODY_BYTES, NGINX_CONFIG_FOLDER, run_nginx
from tests.integration.lone_gateway import run_lone_gateway
from tests.support.http_options import HTTP_OPTIONS

TRIES, PARALLEL = 24, 8
BYTES = 12_000_000  # more than all sockets on the way hold
PIECE = bytes(64 * 1024)
PAUSE_SECONDS = 6.0  # nginx waits for 5 s by itself
SCALE = 15  # the test of pauses in accepted bodies runs this much faster
REFUSALS = {
    "401 unauthorized": {"Authorization": "Bearer wrong"},
    "403 cross_site": {"Origin": "https://evil.example"},
    "413 upload_too_large": {"Authorization": "Bearer key of al"},
    "429 rate_limited": {"Authorization": "Bearer key of zoe"},
}


def post(url: str, headers: dict[str, str], size: int, *, pause: float = 0) -> str:
    """Write a whole upload, with a pause after the first piece, then read. Return the answer's status and code."""
    path = f"{httpx.URL(url).path.rstrip('/')}/upload"
    head = {"Host": httpx.URL(url).netloc.decode(), "Content-Type": raw_http.FORM_TYPE, "Content-Length": str(size)}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (head | headers).items())]
    with raw_http.open_socket(url) as wire:
        wire.sendall("\r\n".join([*lines, "", ""]).encode() + PIECE)
        time.sleep(pause)  # the client's own pause, not a wait for something
        for _ in range(size // len(PIECE) - 1):
            wire.sendall(PIECE)
        wire.sendall(PIECE[: size % len(PIECE)])
        return _read_answer(wire)


def _read_answer(wire: socket.socket) -> str:
    response, body = raw_http.read_response(wire)
    return f"{response.status} {json.loads(body)['code']}"


@pytest.mark.parametrize("refusal", REFUSALS)
def test_no_refusal_of_many_is_masked(url: str, refusal: str) -> None:
    size = BODY_BYTES + 1 if refusal.startswith("413") else BYTES
    if refusal.startswith("429"):
        while httpx.post(f"{url}/jobs/nope/retry", headers=REFUSALS[refusal], **HTTP_OPTIONS).status_code != 429:
            pass

    with ThreadPoolExecutor(PARALLEL) as clients:
        ends = list(clients.map(lambda _: post(url, REFUSALS[refusal], size), range(TRIES)))

    assert ends == [refusal] * TRIES


def test_a_client_that_pauses_after_its_refusal_can_send_on_and_read_it(direct: str, local: str, nginx: str) -> None:
    refusal = "401 unauthorized"

    with ThreadPoolExecutor() as clients:
        ends = list(
            clients.map(lambda url: post(url, REFUSALS[refusal], BYTES, pause=PAUSE_SECONDS), [direct, local, nginx])
        )

    assert ends == [refusal] * 3


def test_nginx_reads_refused_bodies_for_as_long_as_the_gateway_does() -> None:
    assert nginx_seconds("lingering_time") == LINGER_SECONDS
    assert nginx_seconds("lingering_timeout") == IDLE_SECONDS


def nginx_seconds(directive: str) -> int:
    """Return the value of a time in nginx' configuration."""
    text = (NGINX_CONFIG_FOLDER / "nginx.conf").read_text(encoding="utf-8")
    return int(re.search(rf"^ *{directive} (\d+)s;", text, re.MULTILINE)[1])  # type: ignore[index]


@pytest.fixture
def hasty_nginx(strict_stack: Stack, tmp_path: Path) -> Iterator[str]:
    """Nginx before a gateway; both wait for the next piece of a body as long as they do by default, but for SCALE."""
    seconds = nginx_seconds("client_body_timeout")
    hastier = {f"client_body_timeout {seconds}s": f"client_body_timeout {seconds * 1000 // SCALE}ms"}
    idle_seconds = HttpSettings().idle_timeout / SCALE
    (tmp_path / "gateway").mkdir()
    with (
        run_lone_gateway(strict_stack, tmp_path / "gateway", DARKROOM_HTTP__IDLE_TIMEOUT=str(idle_seconds)) as gateway,
        run_nginx(gateway.url, tmp_path, replaced=hastier) as front,
    ):
        yield f"{front.url}/api"


def test_the_gateway_says_what_is_wrong_with_a_body_that_stalls_before_nginx_gives_it_up(hasty_nginx: str) -> None:
    def stall(_: int) -> str:
        with raw_http.open_socket(hasty_nginx) as wire:
            part = raw_http.part("file", b"\xff\xd8\xff\xe0", b"a.jpg")
            wire.sendall(raw_http.build_head(hasty_nginx, "/api/upload", Content_Length=BYTES) + part)
            return _read_answer(wire)

    with ThreadPoolExecutor(PARALLEL) as clients:
        ends = list(clients.map(stall, range(PARALLEL)))

    assert ends == ["408 body_timeout"] * PARALLEL

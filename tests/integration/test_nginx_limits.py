"""What one client may take of nginx: connections, headers, and the disk that holds answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.front_servers import run_nginx
from tests.integration.raw_http import open_socket, read_response
from tests.integration.upstream_server import UpstreamServer, run_upstream_server

SECONDS = 30.0
RESULT_BYTES = 16 * 2**20
FILE_BLOCKS = "128"  # of 512 bytes: what nginx may write to one file
SMALL_DISK = ("sh", "-c", f'ulimit -f {FILE_BLOCKS}; exec "$@"', "sh")
CONNECTIONS = 2


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    """A server in place of the gateway."""
    with run_upstream_server() as server:
        yield server


def send_get(wire: socket.socket, path: str, **headers: str) -> None:
    """Send a request, and read nothing."""
    lines = [f"GET {path} HTTP/1.1", "Host: front", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    wire.sendall("\r\n".join([*lines, "", ""]).encode())


@pytest.mark.parametrize("headers", [{}, {"X_API_Key": "a key"}], ids=["shared", "of one owner"])
def test_large_results_reach_slow_clients_though_the_disk_is_small(
    upstream: UpstreamServer, tmp_path: Path, headers: dict[str, str]
) -> None:
    with run_nginx(upstream.url, tmp_path, *SMALL_DISK) as front, ExitStack() as wires:
        clients = [wires.enter_context(open_socket(front.url)) for _ in range(3)]
        for number, wire in enumerate(clients):
            send_get(wire, f"/api/result/{RESULT_BYTES}/{number}", **headers)
        for _ in clients:
            assert upstream.quiet.acquire(timeout=SECONDS)

        received = [len(read_response(wire)[1]) for wire in clients]

    assert received == [RESULT_BYTES] * 3


def test_the_requests_of_one_address_are_bounded(upstream: UpstreamServer, tmp_path: Path) -> None:
    with (
        run_nginx(
            upstream.url,
            tmp_path,
            DARKROOM_CONNECTIONS=str(CONNECTIONS),
            DARKROOM_TRUSTED_PROXIES='["127.0.0.1"]',
        ) as front,
        ExitStack() as wires,
    ):
        for _ in range(CONNECTIONS):
            send_get(wires.enter_context(open_socket(front.url)), "/api/hold", X_Forwarded_For="203.0.113.9")
        for _ in range(CONNECTIONS):
            assert upstream.held.acquire(timeout=SECONDS)

        refused = front.api.get("/jobs", headers={"X-Forwarded-For": "192.0.2.1, 203.0.113.9"})
        stream = front.api.get("/task-status/a-job/events", headers={"X-Forwarded-For": "203.0.113.9"})
        other = front.api.get("/jobs", headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_connections")
    assert refused.headers["retry-after"] == "5"
    assert (stream.status_code, stream.headers["content-type"]) == (200, "text/event-stream")
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("trusted", "proto", "prefix"),
    [
        pytest.param("127.0.0.0/8, ::1", "https", "/photos/api", id="of a trusted proxy"),
        pytest.param("10.0.0.0/8 192.168.0.0/16", "http", "/api", id="of somebody else"),
    ],
)
def test_what_another_proxy_reports_is_passed_on_if_it_is_trusted(
    upstream: UpstreamServer, tmp_path: Path, trusted: str, proto: str, prefix: str
) -> None:
    reported = {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/photos"}
    with run_nginx(upstream.url, tmp_path, DARKROOM_TRUSTED_PROXIES=trusted) as front:
        seen = front.api.get("/jobs", headers=reported).json()

    assert (seen["x-forwarded-proto"], seen["x-forwarded-prefix"]) == (proto, prefix)

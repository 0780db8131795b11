"""Connections without requests: they take no file that the gateway needs, and do not stay."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx

from deploy.local.stack import Stack
from tests.integration.api_helpers import submit_photo, wait_until
from tests.integration.lone_gateway import run_lone_gateway
from tests.integration.raw_http import open_socket
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import encode_image, photo

FILES = 256
SILENT = 400
LIMIT_FILES = ("sh", "-c", f'ulimit -Sn 64 && ulimit -Hn {FILES} && exec "$@"', "sh")


def is_closed(wire: socket.socket) -> bool:
    wire.setblocking(False)  # noqa: FBT003  # its only parameter
    try:
        return wire.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_silent_connections_lock_nobody_out_and_end(redis_and_mongo: Stack, tmp_path: Path) -> None:
    with (
        run_lone_gateway(redis_and_mongo, tmp_path, *LIMIT_FILES, DARKROOM_HTTP__HEADER_TIMEOUT="4") as gateway,
        ExitStack() as sockets,
    ):
        limit = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
        silent = [sockets.enter_context(open_socket(gateway.url)) for _ in range(SILENT)]

        with httpx.Client(base_url=gateway.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
            is_ready = client.get("/readyz").is_success
            submit_photo(client, encode_image(photo(), "jpeg"))
        files = len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))

        assert limit == (FILES, FILES)
        assert is_ready
        assert files < FILES * 3 / 4
        wait_until(lambda: all(map(is_closed, silent)), "silent connections to end", 20)

"""Faults that clients cause on purpose: what they hold open, and requests that can be read in two ways."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

from pipeline.http_settings import HttpSettings
from tests.tools.chaos.gateway_faults import HALF_A_FORM
from tests.tools.chaos.scene import FaultEffect, Scene

SECONDS = 5.0
ENDLESS_HEADERS = b"GET /jobs HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"a" * 2**20 + b"\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
TWO_READINGS = (
    b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    b"POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n%s"
    % (len(SMUGGLED), SMUGGLED),
)


def gateway_attacked(scene: Scene) -> Iterator[FaultEffect]:
    """Take every upload that one address may have open, stall them all, and send what no client should, for a while."""
    name, seconds = scene.pick_gateway(), scene.pick_seconds(2, 5)
    host, _, port = scene.stack.urls[name].removeprefix("http://").partition(":")
    with ExitStack() as sockets:

        def send(request: bytes) -> None:
            attacker = sockets.enter_context(socket.create_connection((host, int(port)), timeout=SECONDS))
            with suppress(OSError):  # the gateway may end the connection at any time
                attacker.sendall(request)

        for _ in range(HttpSettings().max_uploads_per_caller + 5):
            send(HALF_A_FORM)
        for request in (ENDLESS_HEADERS, *TWO_READINGS):
            send(request)
        yield FaultEffect(f"{name}, {seconds:.1f} s")
        time.sleep(seconds)

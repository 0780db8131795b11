"""HTTP by hand, over a plain socket: for requests that no well-behaved client would send."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPResponse
from urllib.parse import urlsplit

SECONDS = 10.0
BOUNDARY = b"a-boundary"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY.decode()}"


def part(name: str, content: bytes, filename: bytes | None = None) -> bytes:
    """Write one part of a form, its file's name as it is."""
    file = b"" if filename is None else b'; filename="' + filename + b'"'
    return b'--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (
        BOUNDARY,
        name.encode(),
        file,
        content,
    )


def form(*parts: bytes) -> bytes:
    """Write a whole form."""
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


def build_head(url: str, path: str, **headers: object) -> bytes:
    """Write the head of a POST; underscores in the names of headers are hyphens."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", f"Content-Type: {FORM_TYPE}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


@contextmanager
def open_socket(url: str, *, receive_bytes: int | None = None) -> Iterator[socket.socket]:
    """Open a socket to a server, closed when the block ends. `receive_bytes` is how much the kernel may take ahead."""
    parts = urlsplit(url)
    with socket.socket() as wire:
        wire.settimeout(SECONDS)
        if receive_bytes is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)  # before the window is negotiated
        wire.connect((parts.hostname or "", parts.port or 80))
        yield wire


def read_response(wire: socket.socket) -> tuple[HTTPResponse, bytes]:
    """Read one answer: its head, and its body."""
    with closing(HTTPResponse(wire)) as response:
        response.begin()
        return response, response.read()

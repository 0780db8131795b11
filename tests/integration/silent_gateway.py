"""A server in place of the gateway that takes requests and answers none of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast


class SilentGateway(ThreadingHTTPServer):
    """Answers `/readyz`. Below `/held` a request waits until the server ends; elsewhere its connection is cut."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.address}"
        self.received: list[str] = []
        """The method of each request but those for `/readyz`."""
        self.is_over = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        """Receive one request, whatever its method."""
        server = cast("SilentGateway", self.server)
        self.raw_requestline = self.rfile.readline(65537)
        is_request = bool(self.raw_requestline) and self.parse_request()
        self.close_connection = True
        if not is_request:
            return
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/readyz":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        server.received.append(self.command)
        if self.path.startswith("/held"):
            server.is_over.wait()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def run_silent_gateway() -> Iterator[SilentGateway]:
    """Serve until the block ends."""
    with SilentGateway() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.is_over.set()
            server.shutdown()
            thread.join()

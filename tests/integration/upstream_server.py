"""A server in place of the gateway: sends results of any size, echoes headers, and holds requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

PIECE = bytes(64 * 1024)
STALL_SECONDS = 0.5  # without a byte that the reader takes


class UpstreamServer(ThreadingHTTPServer):
    """`/result/BYTES/NAME` is a result of that size; `/hold` is answered once released; the rest echoes its headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.held = threading.Semaphore(0)
        """Released for each request that is held."""
        self.quiet = threading.Semaphore(0)
        """Released for each result that is sent, cut short, or no longer taken."""
        self.released = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = cast("UpstreamServer", self.server)
        kind, *parts = self.path.strip("/").split("/")
        if kind == "result":
            self._send_result(server, int(parts[0]))
            return
        if kind == "hold":
            server.held.release()
            server.released.wait()
        content = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        with suppress(ConnectionError):  # its client may have gone
            self._send_head(len(content))
            self.wfile.write(content)

    def _send_head(self, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("ETag", '"e"')
        self.end_headers()

    def _send_result(self, server: UpstreamServer, size: int) -> None:
        self._send_head(size)
        self.connection.settimeout(STALL_SECONDS)
        is_quiet = False
        try:
            while size > 0:
                try:
                    size -= self.connection.send(PIECE[:size])
                except TimeoutError:
                    if not is_quiet:
                        server.quiet.release()
                    is_quiet = True
        except OSError:
            self.close_connection = True
        if not is_quiet:
            server.quiet.release()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def run_upstream_server() -> Iterator[UpstreamServer]:
    """Serve until the block ends."""
    with UpstreamServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            with suppress(RuntimeError):
                server.released.set()
            server.shutdown()
            thread.join()

"""A server in front of the gateway that does to requests what networks, proxies and restarts do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

from deploy.local.ports import free_port

ProxyFault = Literal["busy", "lose the answer", "change a byte", "cut the answer", "forward"]
PROBLEM = b'{"status": 503, "code": "overloaded", "detail": "9 messages wait in one queue."}'


class FaultyProxy(ThreadingHTTPServer):
    """Does one fault after another to the requests for one path, and forwards the rest; notes every Idempotency-Key."""

    daemon_threads = True

    def __init__(self, gateway: str, path: str, faults: Sequence[ProxyFault], *, port: int | None = None) -> None:
        super().__init__(("127.0.0.1", port or free_port()), _Request)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.gateway = urlsplit(gateway).netloc
        self.path = path
        self.faults = deque(faults)
        self.keys: list[str | None] = []


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def handle_one_request(self) -> None:
        """Answer in one place, whatever the method, for as long as there is a client."""
        try:
            self._handle()
        except ConnectionError:
            self.close_connection = True

    def _handle(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        is_meant = self.path.startswith(self.server.path)
        if is_meant:
            self.server.keys.append(self.headers.get("idempotency-key"))
        fault = self.server.faults.popleft() if is_meant and self.server.faults else "forward"
        if fault == "busy":
            self._answer(503, {"Content-Type": "application/problem+json", "Retry-After": "1"}, PROBLEM)
        else:
            self._forward(body, fault)

    def _forward(self, body: bytes, fault: ProxyFault) -> None:
        gateway = HTTPConnection(self.server.gateway, timeout=30)
        gateway.request(self.command, self.path, body=body, headers=dict(self.headers))
        answer = gateway.getresponse()
        content = answer.read()
        gateway.close()
        if fault == "lose the answer":
            self.close_connection = True
            return
        if fault == "change a byte":
            content = content[:-1] + bytes([content[-1] ^ 1])
        self._answer(answer.status, dict(answer.getheaders()), content, cut=fault == "cut the answer")

    def _answer(self, status: int, headers: dict[str, str], content: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            if name.lower() != "transfer-encoding" and name != "content-length":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut


@contextmanager
def run_faulty_proxy(gateway: str, path: str, *faults: ProxyFault, port: int | None = None) -> Iterator[FaultyProxy]:
    """Put a front before a gateway, at a free port unless one is given."""
    with FaultyProxy(gateway, path, faults, port=port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

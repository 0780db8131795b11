"""A server that receives events, records them in the order of their arrival, and answers as a test says."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.support.webhooks import SECRET


@dataclass(frozen=True)
class Received:
    """A request, in the order of arrival. The names of its headers are in lower case."""

    path: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def event_id(self) -> str:
        """The same on each try."""
        return self.headers["webhook-id"]

    def verify(self, secret: str = SECRET) -> Any:
        """Return the payload; raises if the signature is not right."""
        return Webhook(secret).verify(self.content, dict(self.headers))


@dataclass(frozen=True)
class Reply:
    """What a request is answered with."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    is_cut: bool = False
    """Whether the connection is closed without an answer instead."""


class Receiver:
    """Requests of any path. `reply` is called in the thread of the request, and may wait."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.most_at_once: Counter[str] = Counter()
        self.reply: Callable[[Received], Reply] = lambda _: Reply()
        self.address = ""
        self.is_closing = threading.Event()
        """Set at the end: whoever waits must go on."""
        self._under_way: Counter[str] = Counter()
        self._lock = threading.Lock()

    def url(self, path: str = "/hook") -> str:
        """Return an address of this server."""
        return f"{self.address}{path}"

    def ids(self, path: str = "/hook") -> list[str]:
        """Return the ids of the events, one for each try, in the order of their arrival."""
        return [each.event_id for each in list(self.received) if each.path == path]

    def hang(self, _: Received) -> Reply:
        """Answer nothing until the end."""
        self.is_closing.wait()
        return Reply(500)

    def handle(self, request: Received) -> Reply:
        """Record a request; return the answer."""
        with self._lock:
            self.received.append(request)
            self._under_way[request.path] += 1
            self.most_at_once[request.path] = max(self.most_at_once[request.path], self._under_way[request.path])
        try:
            return self.reply(request)
        finally:
            with self._lock:
                self._under_way[request.path] -= 1


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.receiver.handle(Received(self.path, headers, content))
        if reply.is_cut:
            self.close_connection = True
            return
        try:
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.content)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.content)
        except OSError:  # the sender has not waited for it
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def run_receiver() -> Iterator[Receiver]:
    """Serve on a free port of this machine."""
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        receiver.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.is_closing.set()
            server.shutdown()
            thread.join()

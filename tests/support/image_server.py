"""An HTTP server that answers each path as it is told, also in the ways that go wrong: cut, slow, silent, or lying."""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

DRIP_SECONDS = 0.05
SECONDS = 60


@dataclass(frozen=True)
class Scripted:
    """One answer. Without a Content-Length among the headers, the true one is sent; None there sends none."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str | None] = field(default_factory=dict)
    sent: int | None = None
    """Bytes of the body after which the connection is closed; None: all."""
    is_silent: bool = False
    """Whether nothing more is sent after these bytes, while the connection stays open."""
    is_slow: bool = False
    """Whether the body comes byte by byte."""

    def head(self) -> bytes:
        """Return the status line and the headers."""
        fields = {"Content-Length": str(len(self.body)), "Connection": "close", **self.headers}
        lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
        status = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"
        return "\r\n".join([status, *lines, "", ""]).encode("latin-1")


@dataclass(frozen=True)
class Asked:
    """A request: its path with the query, and its headers in lower case."""

    path: str
    headers: Mapping[str, str]


class ScriptedServer:
    """Answers each path with its answers, one after another; the last one again and again."""

    def __init__(self) -> None:
        self._answers: dict[str, list[Scripted]] = defaultdict(list)
        self._is_closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[Asked] = []
        """Those that came, in their order."""

    def script(self, path: str, *answers: Scripted) -> str:
        """Set the answers of a path, and return its URL."""
        self._answers[path] = list(answers)
        return self.url + path

    def serve(self) -> None:
        """Take connections until closed."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(SECONDS)
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Take no more connections, and end those that are silent or slow."""
        self._is_closed.set()
        with suppress(OSError):  # it is closed
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _handle(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            asked = _read_request(connection)
            self.requests.append(asked)
            answers = self._answers[asked.path.partition("?")[0]]
            answer = answers[0] if len(answers) == 1 else answers.pop(0)
            self._send(connection, answer)

    def _send(self, connection: socket.socket, answer: Scripted) -> None:
        body = answer.body if answer.sent is None else answer.body[: answer.sent]
        if not answer.is_slow:
            connection.sendall(answer.head() + body)
        else:
            connection.sendall(answer.head())
            for byte in body:
                connection.sendall(bytes([byte]))
                if self._is_closed.wait(DRIP_SECONDS):
                    return
        if answer.is_silent:
            self._is_closed.wait(SECONDS)


def _read_request(connection: socket.socket) -> Asked:
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(65536)
        if not received:
            raise ConnectionError("closed before the request was complete")
        head += received
    first, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    fields = (line.split(": ", 1) for line in lines)
    return Asked(first.split(" ")[1], {name.lower(): value for name, value in fields})


@contextmanager
def run_scripted_server() -> Iterator[ScriptedServer]:
    """Run one until the block ends."""
    server = ScriptedServer()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()

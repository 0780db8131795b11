"""A server that answers an upload before it has read it, and closes the connection at once or reads no more."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Literal

Behaviour = Literal["refuse and close", "refuse and read no more", "close", "take"]
REFUSES: tuple[Behaviour, ...] = ("refuse and close", "refuse and read no more")
RECEIVE_BYTES = 64 * 1024
SECONDS = 30


class EarlyResponseServer:
    """Meets uploads in these behaviours, one after another and from the first again."""

    def __init__(self, *behaviours: Behaviour, retry_after: int) -> None:
        self._behaviours = behaviours
        self._retry_after = retry_after
        self._numbers = count()
        self._is_closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Less than a photo, so that whoever sends one is still at it when the answer comes.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.accepted_keys: Counter[str] = Counter()
        """How often each Idempotency-Key was answered with 202."""

    def serve(self) -> None:
        """Take connections until closed."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(SECONDS)
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._is_closed.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _handle(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head, _, body = self._read_head(connection).partition(b"\r\n\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
            if head.startswith(b"GET"):
                return self._answer(connection, 200, {})
            behaviour = self._behaviours[next(self._numbers) % len(self._behaviours)]
            if behaviour in REFUSES:
                self._answer(connection, 429, {"code": "rate_limited", "detail": "Too many."})
            if behaviour == "refuse and read no more":
                self._is_closed.wait(SECONDS)
            if behaviour == "take":
                self._accept_upload(connection, headers, len(body))
        return None

    @staticmethod
    def _read_head(connection: socket.socket) -> bytes:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096) or b"\r\n\r\n"
        return head

    def _accept_upload(self, connection: socket.socket, headers: dict[str, str], received: int) -> None:
        left = int(headers["content-length"]) - received
        while left > 0 and (piece := connection.recv(RECEIVE_BYTES)):
            left -= len(piece)
        key = headers["idempotency-key"]
        self.accepted_keys[key] += 1
        self._answer(connection, 202, {"task_id": key, "status": "accepted"})

    def _answer(self, connection: socket.socket, status: int, document: dict[str, str]) -> None:
        content = json.dumps(document).encode()
        head = f"HTTP/1.1 {status} X\r\nRetry-After: {self._retry_after}\r\nConnection: close\r\n"
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)


@contextmanager
def run_early_response_server(*behaviours: Behaviour, retry_after: int = 0) -> Iterator[EarlyResponseServer]:
    """Serve uploads in these behaviours."""
    server = EarlyResponseServer(*behaviours, retry_after=retry_after)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()

"""A server that receives requests and answers each as a test says: badly, slowly or not at all."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread

SECONDS = 60.0
PAUSE = 0.02

Script = Callable[["Connection"], None]


@dataclass(frozen=True)
class Connection:
    """One connection of a client that has sent its request."""

    wire: socket.socket
    request: bytes
    is_over: Event

    def drip(self, data: bytes) -> None:
        """Send a byte at a time, with pauses, until the server ends."""
        for byte in data:
            self.wire.sendall(bytes([byte]))
            if self.is_over.wait(PAUSE):
                return

    def wait_for_client(self) -> None:
        """Send nothing until the client closes."""
        while self.wire.recv(4096):
            pass


@dataclass
class ScriptedServer:
    """A server on one address of this machine."""

    listener: socket.socket = field(repr=False)
    script: Script
    tls: ssl.SSLContext | None = None
    opening: Script | None = None
    """What it does before it has received anything, as servers of other protocols do."""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    is_over: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.host, self.port = self.listener.getsockname()[:2]
        self.url = f"http://{self.host}:{self.port}/"

    def accept_all(self) -> None:
        """Serve each connection in a thread, until the listener is closed."""
        threads: list[Thread] = []
        with suppress(OSError):
            while True:
                wire, _ = self.listener.accept()
                self.connections += 1
                threads.append(Thread(target=self._serve, args=(wire,)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, raw: socket.socket) -> None:
        raw.settimeout(SECONDS)
        with raw, suppress(OSError):  # the client may go, and refuse a certificate
            if self.opening:
                self.opening(Connection(raw, b"", self.is_over))
            wire = self.tls.wrap_socket(raw, server_side=True) if self.tls else raw
            with wire:
                if request := read_request(wire):
                    self.requests.append(request)
                    self.script(Connection(wire, request, self.is_over))


def read_request(wire: socket.socket) -> bytes:
    """Return one request with its body; empty if the client closes before."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := wire.recv(4096)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    missing = sum(int(line[15:]) for line in lines if line.startswith(b"content-length:")) - len(body)
    while missing > 0 and (more := wire.recv(missing)):
        data, missing = data + more, missing - len(more)
    return data


def answer(data: bytes) -> Script:
    """Send this, and close."""
    return lambda connection: connection.wire.sendall(data)


def redirect(location: str, status: int = 302) -> Script:
    """Redirect to this address."""
    return answer(b"HTTP/1.1 %d Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n" % (status, location.encode()))


OK = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


@contextmanager
def run_scripted_server(
    script: Script = OK,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    opening: Script | None = None,
) -> Iterator[ScriptedServer]:
    """Serve until the block ends."""
    with socket.create_server((host, port)) as listener:
        server = ScriptedServer(listener, script, tls, opening)
        thread = Thread(target=server.accept_all)
        thread.start()
        try:
            yield server
        finally:
            server.is_over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()

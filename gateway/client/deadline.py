"""Deadlines: an answer must end in time, in however many pieces it comes.

httpx bounds each read only. A server that sends one byte in each, or interim answers (1xx), would keep a client for
ever. So the connections check the deadline of the answer before each read. It starts with the last piece of the
request: an upload may take as long as it needs.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any

import httpcore
import httpx


class AnswerTooSlow(httpx.TransportError):
    """The answer has not ended in time. It is not retried: the next one would take as long."""


class Deadline:
    """The time by which the answer of one request must have ended."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Start the time again, because more of the request was sent."""
        self._end = self._clock() + self._seconds

    def check(self) -> None:
        """Raise `AnswerTooSlow` after the deadline."""
        if self._clock() > self._end:
            raise AnswerTooSlow(f"The answer has not ended after {self._seconds:g} s.")


_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def answer_within(seconds: float) -> Iterator[None]:
    """Bound the time of the answers that this thread or task reads inside the block."""
    token = _deadline.set(Deadline(seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def restart_deadline() -> None:
    """Start the time of the current answer again, if it is bounded."""
    if deadline := _deadline.get():
        deadline.restart()


def check_deadline() -> None:
    """Raise `AnswerTooSlow` after the deadline of the current answer."""
    if deadline := _deadline.get():
        deadline.check()


def check_deadlines(client: httpx.Client) -> None:
    """Make a client check deadlines. It sets private attributes: httpx has no option for a network backend."""
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        pool = getattr(transport, "_pool", None)
        if isinstance(pool, httpcore.ConnectionPool):
            pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001


class _Backend(httpcore.NetworkBackend):
    """Opens connections that check deadlines."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._backend.connect_unix_socket(path, timeout, socket_options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    """A connection that checks the deadline before each read."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        check_deadline()
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)
        restart_deadline()

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

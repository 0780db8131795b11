"""Early answers: let httpx's asynchronous client read an answer that arrives before the whole request is sent.

A server that refuses an upload may answer during the upload, and then close the connection. When a write fails, asyncio
drops the data that has arrived on the connection, unless a read is pending. So a read is always pending here.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from .deadline import check_deadline, restart_deadline

READ_AHEAD_BYTES = 64 * 1024
"""httpcore reads as many bytes at a time."""
_REFUSAL = re.compile(rb"HTTP/1\.[01] [45]")


def read_early_answers(client: httpx.AsyncClient) -> None:
    """Make a client read while it writes. It sets private attributes: httpx has no option for a network backend."""
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        pool = getattr(transport, "_pool", None)
        if isinstance(pool, httpcore.AsyncConnectionPool):
            pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001


class _Backend(httpcore.AsyncNetworkBackend):
    """Opens connections that read while they write."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._backend.connect_unix_socket(path, timeout, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that reads from the first write of a request on. A 4xx or 5xx stops the upload (RFC 9112, 9.5)."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._reading: asyncio.Task[bytes] | None = None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if self._reading is None:
            self._reading = asyncio.create_task(self._stream.read(READ_AHEAD_BYTES))
            self._reading.add_done_callback(_ignore_outcome)
        writing = asyncio.create_task(self._stream.write(buffer, timeout))
        try:
            await asyncio.wait({self._reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            if _is_refusal(self._reading):
                raise httpcore.WriteError("The server refused the request before all of it was sent.")
            await writing
            restart_deadline()
        finally:
            if not writing.done():
                writing.cancel()
            writing.add_done_callback(_ignore_outcome)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        check_deadline()
        if self._reading is None:
            return await self._stream.read(max_bytes, timeout)
        done, _ = await asyncio.wait({self._reading}, timeout=timeout)
        if not done:
            raise httpcore.ReadTimeout
        reading, self._reading = self._reading, None
        return reading.result()

    async def aclose(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _is_refusal(reading: asyncio.Task[bytes]) -> bool:
    has_read = reading.done() and not reading.cancelled() and reading.exception() is None
    return has_read and _REFUSAL.match(reading.result()) is not None


def _ignore_outcome(task: asyncio.Task[Any]) -> None:
    """Retrieve a task's exception: asyncio logs those that nobody retrieves."""
    if not task.cancelled():
        task.exception()

"""Answers that come before the whole request is sent: httpx's asynchronous client reads them all the same.

A server that refuses an upload may answer while the photo is still on its way, and then close the connection. asyncio
drops what has arrived on a connection whose write fails, unless it was being read at that time. So it is read.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

READ_AHEAD_BYTES = 64 * 1024
"""As many as httpcore reads at a time."""
_REFUSAL = re.compile(rb"HTTP/1\.[01] [45]")


def read_early_answers(client: httpx.AsyncClient) -> None:
    """Have a client read while it writes. httpx has no public place for a network backend."""
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        pool = getattr(transport, "_pool", None)
        if isinstance(pool, httpcore.AsyncConnectionPool):
            pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001


class _Backend(httpcore.AsyncNetworkBackend):
    """Opens connections that are read while they are written."""

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
    """A connection that is read from the first write of a request on; a refusal ends the writing (RFC 9112, 9.5)."""

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
        finally:
            if not writing.done():
                writing.cancel()
            writing.add_done_callback(_ignore_outcome)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
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
    """Keep asyncio from complaining of an error that nobody waited for."""
    if not task.cancelled():
        task.exception()

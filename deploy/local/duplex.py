"""An httpx transport that reads an answer while it still sends the request's body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Any

import h11
import httpx

READ_BYTES = 65536
BODYLESS_METHODS = frozenset({"GET", "HEAD"})


class DuplexTransport(httpx.AsyncBaseTransport):
    """Returns an answer as soon as its head has arrived, and then stops sending the body.

    httpx itself reads an answer only after it has sent the whole body. Its transport serves GET and HEAD, over pooled
    connections; every other request has a connection of its own. `Expect: 100-continue` is supported: no part of the
    body is sent before the gateway asks for it.
    """

    def __init__(self) -> None:
        self._pooled_transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None), trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer. The body of the answer is a stream."""
        if request.method in BODYLESS_METHODS:
            return await self._pooled_transport.handle_async_request(request)
        connection = await _Connection.open(request)
        try:
            head = await connection.exchange(request)
        except BaseException:
            await connection.aclose()
            raise
        return httpx.Response(head.status_code, headers=list(head.headers.raw_items()), stream=connection)

    async def aclose(self) -> None:
        """Close the pooled connections."""
        await self._pooled_transport.aclose()


class _Connection(httpx.AsyncByteStream):
    """A connection for one request. Iterating over it yields the body of the answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, read_seconds: float | None) -> None:
        self._reader = reader
        self._writer = writer
        self._read_seconds = read_seconds
        self._protocol = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, request: httpx.Request) -> _Connection:
        timeouts: dict[str, Any] = request.extensions.get("timeout", {})
        url = request.url
        try:
            async with asyncio.timeout(timeouts.get("connect")):
                reader, writer = await asyncio.open_connection(url.host, url.port or 80)
        except (OSError, TimeoutError) as error:
            raise httpx.ConnectError(str(error)) from error
        return cls(reader, writer, timeouts.get("read"))

    async def exchange(self, request: httpx.Request) -> h11.Response:
        """Send the request, at most until an answer arrives, and return the head of the answer."""
        target: bytes = request.extensions.get("target", request.url.raw_path)
        await self._send(h11.Request(method=request.method, target=target, headers=request.headers.raw))
        if request.headers.get("expect", "").lower() == "100-continue":
            first = await self._event()
            if isinstance(first, h11.Response):
                return first
        sending = asyncio.create_task(self._send_body(request.stream))
        reading = asyncio.create_task(self._read_head())
        try:
            await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                sending.result()
                await asyncio.wait({reading}, timeout=self._read_seconds)
            if not reading.done():
                raise httpx.ReadTimeout("no answer")
            return reading.result()
        finally:
            sending.cancel()
            reading.cancel()
            await asyncio.gather(sending, reading, return_exceptions=True)

    async def _send_body(self, stream: Any) -> None:
        pieces: AsyncIterable[bytes] = stream
        async for piece in pieces:
            await self._send(h11.Data(piece))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        try:
            content = self._protocol.send(event)
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error
        with suppress(ConnectionError):  # the gateway closed it, perhaps after an answer
            self._writer.write(content or b"")
            await self._writer.drain()

    async def _read_head(self) -> h11.Response:
        while not isinstance(event := await self._event(), h11.Response):
            pass  # skip informational answers (1xx)
        return event

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(self._read_seconds):
                    event = await self._event()
            except TimeoutError as error:
                raise httpx.ReadTimeout("the answer stalled") from error
            if isinstance(event, h11.EndOfMessage):
                return
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    async def _event(self) -> Any:
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                self._protocol.receive_data(await self._reader.read(READ_BYTES))
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        except OSError as error:
            raise httpx.ReadError(str(error)) from error
        if isinstance(event, h11.ConnectionClosed):
            raise httpx.RemoteProtocolError("the gateway closed the connection without an answer")
        return event

    async def aclose(self) -> None:
        """Close the connection. Unsent data is dropped."""
        self._writer.transport.abort()

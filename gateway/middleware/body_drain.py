"""Body drain: an answer sent before the request's body is read still reaches the client."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAIN_BYTES = 64 * 2**20
DRAIN_SECONDS = 30.0
IDLE_SECONDS = 5.0


class BodyDrain:
    """The outermost ASGI middleware: after an early answer it reads and drops the rest of the body, up to a bound.

    A server that closes a connection with unread bytes resets it, and the reset can destroy the answer on its way: a
    client that is still sending sees an error instead of a 401 or a 429. So the whole answer is sent at once, with
    `Connection: close`. The connection is closed when the body has ended, or after `max_bytes`, `max_seconds`, or
    `idle_seconds` without a byte (RFC 9112, section 9.6). `Expect: 100-continue` is never answered with 100 here.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int = DRAIN_BYTES,
        max_seconds: float = DRAIN_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._idle_seconds = idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, then drain its body if it was answered before the body was read."""
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:  # a handler outside answers it, or the server cuts the answer short
            await self._drain(exchange)
            raise
        if exchange.is_answered:
            await self._drain(exchange)
            await exchange.end_answer()

    async def _drain(self, exchange: _Exchange) -> None:
        remaining_bytes = self._max_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(self._max_seconds):
                while remaining_bytes > 0 and not exchange.is_read:
                    async with asyncio.timeout(self._idle_seconds):
                        message = await exchange.receive()
                    remaining_bytes -= len(message.get("body", b""))


class _Exchange:
    """A request with a body and its answer. Holds back the end of the answer until the body is read."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.is_read = False
        self.is_answered = False
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """Receive the next piece of the body. After a disconnect the body counts as read."""
        message = await self._receive()
        self.is_read = self.is_read or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send the answer, but not that it is complete: the server would then close the connection."""
        if not self.is_read and message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        if not self.is_read and message["type"] == "http.response.body" and not message.get("more_body", False):
            self.is_answered = True
            message = {**message, "more_body": True}
        await self._send(message)

    async def end_answer(self) -> None:
        """Complete the answer."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"

"""The HTTP/1.1 server's protocol: uvicorn's, with strict framing, bounded headers, and answers that always arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httptools
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.problems import HeadersTooLarge, HeadersTooSlow, MalformedRequest, Problem
from gateway.server.bodies import ChunkedBody, FixedBody
from gateway.server.body_pieces import BodyPieces
from gateway.server.bounded_flow import MAX_WAITING_BYTES, BoundedFlow
from gateway.server.closing_transport import ClosingTransport
from gateway.server.open_connections import OpenConnections
from gateway.server.refusals import render, respond, shutting_down, too_many_connections
from gateway.server.request_head import (
    CHUNKED,
    HEAD_END,
    check_line_ends,
    read_framing,
    remove_upgrade,
)
from gateway.server.timer import Timer

log = structlog.get_logger("gateway")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a client may take for the head of a request, and how long for its body once the server is to stop.

    It may read nothing for `send_seconds` while there is something to send.
    """

    head_bytes: int = 64 * 1024
    head_seconds: float = 10.0
    stop_seconds: float = 30.0
    send_seconds: float = 60.0


class HttpProtocol(HttpToolsProtocol):
    """One connection. httptools parses the head of each request; the body is cut off by the length that it gives.

    uvicorn feeds httptools with all that arrives. Then `Upgrade` in a request makes httptools skip the body, which is
    run as the next request. Here httptools sees one head at a time and no `Upgrade`, and the next request waits until
    this one is answered. A request that servers could read in two ways is refused, and the connection ends.

    An answer that is sent before its request has come completely ends the connection as RFC 9112, section 9.6 says:
    `ClosingTransport` closes only its own side and reads on for a while. Otherwise the answer could be lost.

    When the server is to stop, the request on the connection is the last one, and new ones are refused. `wrap_refusal`
    puts middleware around the refusals of whole requests.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits = Limits(),  # frozen
        open_connections: OpenConnections | None = None,
        wrap_refusal: Callable[[ASGIApp], ASGIApp] = lambda refusal: refusal,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.app = self._serve
        self._limits = limits
        self._open_connections = open_connections or OpenConnections(1)
        self._wrap_refusal = wrap_refusal
        self._max_waiting_bytes = max(MAX_WAITING_BYTES, limits.head_bytes)
        self._buffer = bytearray()
        self._searched_bytes = 0  # of the buffer, complete lines without an end of the head
        self._body: FixedBody | ChunkedBody | None = None  # that is being received
        self._pieces: BodyPieces  # of the latest request's body
        self._problem: Problem | None = None  # raised in a callback of httptools, which hides it
        self._is_stopping = False
        self._is_overdue = False  # the time to stop is over
        self._head_timer = Timer(self.loop, self._end_wait_for_head)
        self._send_timer = Timer(self.loop, lambda: self._closing.abort())  # noqa: PLW0108  # set later
        self._stop_timer = Timer(self.loop, self._end_receiving)

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head. Refuse the connection if there are too many."""
        self._closing = ClosingTransport(transport, self.loop)
        super().connection_made(self._closing)  # type: ignore[arg-type]  # it delegates to a transport
        self.flow = BoundedFlow(self._closing, self._buffer, self._max_waiting_bytes)  # type: ignore[arg-type]  # as above
        self._head_timer.start(self._limits.head_seconds)
        if not self._open_connections.add(self.transport):
            self._refuse(too_many_connections())

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        for timer in (self._head_timer, self._send_timer, self._stop_timer):
            timer.stop()
        self._closing.stop()
        self._open_connections.remove(self.transport)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close the connection, but first answer the request on it, or refuse the one whose head is arriving."""
        self._is_stopping = True
        self._closing.shorten()
        if self._closing.is_lingering:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            self._stop_timer.start(self._limits.stop_seconds)
        elif not self._buffer:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._unset_keepalive_if_required()
        if self._closing.is_lingering:
            self._closing.drop(len(data))
            return
        if isinstance(self._body, FixedBody) and not self._buffer and self._body.take_whole(data):
            self._keep_piece(data, self._body)
            return
        self._buffer += data
        self._advance()

    def on_response_complete(self) -> None:
        """Go on with the next request, if it is there already."""
        self._open_connections.mark_idle(self.transport)
        self._pieces.take()  # those that the application has not received: the connection may stay open for long
        super().on_response_complete()
        if self._buffer:
            self.loop.call_soon(self._advance)

    def pause_writing(self) -> None:
        """Wait for the client to read what is written, but not for ever."""
        super().pause_writing()
        self._send_timer.start(self._limits.send_seconds)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        self._send_timer.stop()

    # Requests

    def _advance(self) -> None:
        try:
            while self._buffer and not self.transport.is_closing() and self._take_next():
                pass
        except Problem as problem:
            self._refuse(problem)

    def _take_next(self) -> bool:
        """Take a head, or a piece of a body, from the buffer. False if nothing can be taken now."""
        if self._body is not None:
            return self._take_body(self._body)
        if self.cycle is not None and not self.cycle.response_complete:
            if len(self._buffer) > self._max_waiting_bytes:
                self.flow.pause_reading()
            return False
        return self._take_head()

    def _take_head(self) -> bool:
        self._unset_keepalive_if_required()
        while self._buffer.startswith(b"\r\n"):  # some clients end a body with one line too many
            del self._buffer[:2]
        end = self._buffer.find(HEAD_END, max(0, self._searched_bytes - len(HEAD_END)))
        if max(end, len(self._buffer) if end < 0 else 0) > self._limits.head_bytes:
            raise HeadersTooLarge(
                f"The request line and the headers have more than {self._limits.head_bytes} bytes. Send fewer."
            )
        if end < 0:
            self._wait_for_head()
            return False
        head = bytes(self._buffer[: end + len(HEAD_END)])
        del self._buffer[: len(head)]
        self._searched_bytes = 0
        self._head_timer.stop()
        check_line_ends(head)
        self._parse_head(remove_upgrade(head))
        return True

    def _wait_for_head(self) -> None:
        """Check the lines that have come since the last check, and bound the time to the end of the head."""
        check_line_ends(self._buffer.removesuffix(b"\r"), self._searched_bytes)
        self._searched_bytes = self._buffer.rfind(b"\r\n") + len(b"\r\n") if b"\r\n" in self._buffer else 0
        if not self._head_timer.is_running:
            self._head_timer.start(self._limits.head_seconds)

    def _parse_head(self, head: bytes) -> None:
        """Start the request. Without a body, it is complete then."""
        self.parser = httptools.HttpRequestParser(self)
        try:
            self.parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise self._problem or MalformedRequest("The request line or a header is malformed.") from None

    def on_headers_complete(self) -> None:
        """Start the application, if it is certain where the body ends."""
        try:
            length = read_framing(self.parser.get_method(), self.parser.get_http_version(), self.headers)
        except Problem as problem:
            self._problem = problem
            raise
        self._body = (ChunkedBody() if length == CHUNKED else FixedBody(length)) if length else None
        self._open_connections.mark_busy(self.transport)
        super().on_headers_complete()
        self._pieces = BodyPieces(self.cycle.message_event.set, self.loop)

    def _take_body(self, body: FixedBody | ChunkedBody) -> bool:
        waiting_bytes = len(self._buffer)
        self._keep_piece(body.take(self._buffer), body)
        return len(self._buffer) < waiting_bytes

    def _keep_piece(self, data: bytes, body: FixedBody | ChunkedBody) -> None:
        """Keep a piece of the body for the application, unless that has answered already."""
        if data and not self.cycle.response_complete:
            self._pieces.append(data)
            if self._pieces.are_enough:
                self.flow.pause_reading()
        if body.is_complete:
            self._body = None
            self.on_message_complete()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application. If it answers before the request has come completely, the answer is the last one."""
        cycle, pieces = self.cycle, self._pieces
        cycle.keep_alive = cycle.keep_alive and not self._is_stopping

        async def receive_in_time() -> Message:
            message = await receive()
            if self._is_overdue and cycle.more_body:
                raise shutting_down()
            is_gone = message["type"] == "http.disconnect" and not cycle.response_complete
            if is_gone and pieces:  # uvicorn would drop them, but a resumable upload goes on behind them
                message = {"type": "http.request", "more_body": cycle.more_body}
            if message["type"] == "http.request":
                message["body"] = pieces.take()
            return message

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and cycle.more_body:
                cycle.keep_alive = False
                self._closing.linger_on_close()
            await send(message)

        app = self._build_refusal() if self._is_stopping else self.config.loaded_app
        try:
            await app(scope, receive_in_time, send_last)
        except asyncio.CancelledError:  # the server waits no longer
            if cycle.response_started:
                raise
            await self._build_refusal()(scope, receive, send_last)

    def _build_refusal(self) -> ASGIApp:
        return self._wrap_refusal(respond(shutting_down()))

    def _end_receiving(self) -> None:
        """Have the application refuse the request if it is still being received."""
        self._is_overdue = True
        if self.cycle.more_body:
            self.cycle.message_event.set()

    # Refusals

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem and end the connection."""
        log.info("request.refused", code=problem.code, client=self.client and self.client[0])
        self._head_timer.stop()
        self._open_connections.mark_idle(self.transport)
        self._buffer.clear()
        is_answered = False
        if self.cycle is not None and not self.cycle.response_complete:  # its body is malformed
            is_answered = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not is_answered:
            self.transport.write(render(problem))
            self._closing.linger_on_close()
        self.transport.close()

    def _end_wait_for_head(self) -> None:
        if self.transport.is_closing():
            return
        if self._buffer:
            self._refuse(HeadersTooSlow(f"The headers took longer than {self._limits.head_seconds:g} s to arrive."))
        else:
            self.transport.close()

"""The transport of a connection that can end while its client is still sending."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.server.timer import Timer

LINGER_BYTES = 64 * 2**20
LINGER_SECONDS = 300.0  # the largest upload, at 90 kB a second
IDLE_SECONDS = 30.0  # as long as an accepted upload may pause, by default
STOP_SECONDS = 3.0


class ClosingTransport:
    """A transport whose `close` can linger: it closes only the server's side, and drops what still comes.

    A connection that is closed with unread bytes is reset, and the reset can destroy the answer on its way. The whole
    connection is closed when the client closes it, or after LINGER_SECONDS, or IDLE_SECONDS without a byte (RFC 9112,
    section 9.6). After LINGER_BYTES nothing more is read: a client that cannot write any more looks for the answer.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.is_lingering = False
        self._transport = transport
        self._lingers_on_close = False
        self._linger_seconds = LINGER_SECONDS
        self._remaining_bytes = LINGER_BYTES
        self._end_timer = Timer(loop, self.close_now)
        self._idle_timer = Timer(loop, self.close_now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether no more answers can be sent."""
        return self.is_lingering or self._transport.is_closing()

    def linger_on_close(self) -> None:
        """Have `close` linger: bytes of the client are still on their way."""
        self._lingers_on_close = True

    def close(self) -> None:
        """Send what is written, then close, at once or when the client has finished."""
        if not self._lingers_on_close or self.is_closing():
            self.close_now()
            return
        self.is_lingering = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()
        self._end_timer.start(self._linger_seconds)
        self._idle_timer.start(IDLE_SECONDS)

    def close_now(self) -> None:
        """Send what is written, then close."""
        self.stop()
        self._transport.close()

    def shorten(self) -> None:
        """Linger for STOP_SECONDS at most from now on: the server is to stop."""
        self._linger_seconds = STOP_SECONDS
        if self.is_lingering:
            self._end_timer.start(STOP_SECONDS)

    def drop(self, count: int) -> None:
        """Count bytes that came while lingering."""
        self._remaining_bytes -= count
        self._idle_timer.start(IDLE_SECONDS)
        if self._remaining_bytes < 0:
            self._transport.pause_reading()

    def stop(self) -> None:
        """Stop the timers."""
        self._end_timer.stop()
        self._idle_timer.stop()

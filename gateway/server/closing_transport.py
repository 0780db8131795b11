"""The transport of a connection that can end while its client is still sending."""

from __future__ import annotations

import asyncio
from typing import Any

LINGER_BYTES = 64 * 2**20
LINGER_SECONDS = 30.0
IDLE_SECONDS = 5.0


class ClosingTransport:
    """A transport whose `close` can linger: it closes only the server's side, and drops what still comes.

    A connection that is closed with unread bytes is reset, and the reset can destroy the answer on its way. The whole
    connection is closed when the client closes it, or after LINGER_SECONDS, or IDLE_SECONDS without a byte (RFC 9112,
    section 9.6). After LINGER_BYTES nothing more is read: a client that cannot write any more looks for the answer.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.is_lingering = False
        self._transport = transport
        self._loop = loop
        self._lingers_on_close = False
        self._remaining_bytes = LINGER_BYTES
        self._timers: dict[float, asyncio.TimerHandle] = {}

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
        for seconds in (LINGER_SECONDS, IDLE_SECONDS):
            self._start_timer(seconds)

    def close_now(self) -> None:
        """Send what is written, then close."""
        self.stop()
        self._transport.close()

    def drop(self, count: int) -> None:
        """Count bytes that came while lingering."""
        self._remaining_bytes -= count
        self._start_timer(IDLE_SECONDS)
        if self._remaining_bytes < 0:
            self._transport.pause_reading()

    def stop(self) -> None:
        """Stop the timers."""
        while self._timers:
            self._timers.popitem()[1].cancel()

    def _start_timer(self, seconds: float) -> None:
        if timer := self._timers.pop(seconds, None):
            timer.cancel()
        self._timers[seconds] = self._loop.call_later(seconds, self.close_now)

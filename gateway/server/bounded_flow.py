"""Flow control that does not read on while much of the next requests waits."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl

MAX_WAITING_BYTES = 64 * 1024


class BoundedFlow(FlowControl):
    """uvicorn resumes reading after each answer, and whenever an application asks for a message.

    A client that sends requests faster than they are answered would fill the memory with them.
    """

    def __init__(self, transport: asyncio.Transport, buffer: bytearray, max_bytes: int) -> None:
        super().__init__(transport)
        self._buffer = buffer
        self._max_bytes = max_bytes

    def resume_reading(self) -> None:
        """Read on, unless too much waits: then the next answer resumes."""
        if len(self._buffer) <= self._max_bytes:
            super().resume_reading()

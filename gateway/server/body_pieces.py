"""What has come of a request's body, for the application to receive in large pieces: each costs it much time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.server.timer import Timer

PIECE_BYTES = 192 * 1024
"""How much is received at once. While so much waits, no more is read; uvloop reads up to 250 kB at a time."""
PIECE_SECONDS = 0.05
"""How long a piece may take to come. Then what there is of it is received."""


class BodyPieces:
    """Bytes in their order. Calls `on_ready` once they are PIECE_BYTES, or once PIECE_SECONDS have passed.

    uvicorn would wake the application for each packet. What comes at once is not copied.
    """

    def __init__(
        self,
        on_ready: Callable[[], object],
        loop: asyncio.AbstractEventLoop,
        *,
        seconds: float = PIECE_SECONDS,
    ) -> None:
        self._on_ready = on_ready
        self._seconds = seconds
        self._timer = Timer(loop, on_ready)
        self._pieces: list[bytes] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def are_enough(self) -> bool:
        """Whether no more should be read until these are taken."""
        return self._bytes >= PIECE_BYTES

    def append(self, data: bytes) -> None:
        """Add what has come."""
        self._pieces.append(data)
        self._bytes += len(data)
        if self.are_enough:
            self._on_ready()
        elif not self._timer.is_running:
            self._timer.start(self._seconds)

    def take(self) -> bytes:
        """Remove all bytes and return them."""
        self._timer.stop()
        pieces, self._pieces, self._bytes = self._pieces, [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

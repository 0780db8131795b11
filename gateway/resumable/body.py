"""The body of a request that carries bytes of a resumable upload: it may end early, and what has come counts."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from gateway.problems import BodyTooLarge, BodyTooSlow, ShuttingDown
from gateway.resumable.protocol import Checksum
from gateway.sizes import format_size
from gateway.whole_numbers import parse_whole_number

INTERRUPTIONS = (ClientDisconnect, BodyTooSlow, ShuttingDown)
"""How a body ends early: the client has gone, sends too slowly, or the gateway is stopping."""


class UploadBody:
    """Reads a body piece by piece, and hashes it if it has a checksum."""

    def __init__(self, request: Request, *, max_bytes: int) -> None:
        """Raise `BodyTooLarge`, now or when more is read, if the body has more bytes than are missing."""
        header = request.headers.get("upload-checksum")
        self.checksum = None if header is None else Checksum(header)
        self.max_bytes = max_bytes
        self.interruption: Exception | None = None
        """Why the body has ended early, if it has."""
        self._chunks = request.stream()
        self._rest = b""
        self._has_ended = False
        self._received_bytes = 0
        self._check_size(parse_whole_number(request.headers.get("content-length", "")) or 0)

    async def has_more(self) -> bool:
        """Whether there are more bytes. Wait for them, or for the end."""
        while not self._rest and not self._has_ended:
            try:
                self._rest = await anext(self._chunks)
            except StopAsyncIteration:
                self._has_ended = True
            except INTERRUPTIONS as error:
                self.interruption, self._has_ended = error, True
            self._received_bytes += len(self._rest)
            self._check_size(self._received_bytes)
            if self.checksum is not None:
                self.checksum.update(self._rest)
        return bool(self._rest)

    async def iterate(self, size: int) -> AsyncIterator[bytes]:
        """Yield the next `size` bytes, or what there is until the end."""
        while size and await self.has_more():
            chunk, self._rest = self._rest[:size], self._rest[size:]
            size -= len(chunk)
            yield chunk

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise BodyTooLarge(
                f"The body is longer than the {format_size(self.max_bytes)} that are missing. Send only those."
            )

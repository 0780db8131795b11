"""One connection of a client: bytes in, requests out, and replies back."""

from __future__ import annotations

import asyncio
from typing import cast
from uuid import uuid4

from nx_27017.handler import NeoSQLiteHandler
from nx_27017.wire_protocol import MAX_MESSAGE_SIZE_BYTES

from deploy.local.document_server.dispatcher import Dispatcher
from deploy.local.document_server.wire import HEADER, Request


class Connection(asyncio.Protocol):
    """Hands each complete message to the dispatcher."""

    def __init__(self, handler: NeoSQLiteHandler, dispatcher: Dispatcher) -> None:
        self._handler, self._dispatcher = handler, dispatcher
        self._received = bytearray()
        self.connection_id = str(uuid4())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection: the library reports how many there are."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._handler.increment_connections()

    def data_received(self, data: bytes) -> None:
        """Submit the messages that are complete. A message of an impossible length closes the connection."""
        self._received += data
        while len(self._received) >= HEADER.size:
            length = HEADER.unpack_from(self._received)[0]
            if not HEADER.size <= length <= MAX_MESSAGE_SIZE_BYTES:
                self._transport.close()
                return
            if len(self._received) < length:
                return
            content = bytes(self._received[:length])
            del self._received[:length]
            self._dispatcher.submit(self, Request(content))

    def send(self, reply: bytes) -> None:
        """Send a reply, unless the connection is closed."""
        if not self._transport.is_closing():
            self._transport.write(reply)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the base class names it
        """Drop what the library keeps for the connection, such as cursors."""
        self._handler.decrement_connections()
        self._handler.close_streams_for_connection(self.connection_id)

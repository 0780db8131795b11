"""One HTTP/1.1 request and its answer over a connection, each step within the deadline."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress

import h11

from pipeline.outbound.deadline import Deadline
from pipeline.outbound.errors import OutboundFailed, OutboundTimeout

MAX_HEADER_BYTES = 64 * 1024
MAX_INTERIM_ANSWERS = 16
RECEIVED_BYTES = 64 * 1024

Event = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


class Exchange:
    """Sends one request and receives its answer, as it is on the wire: nothing is decompressed."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADER_BYTES)

    def send(self, method: str, path: str, headers: Mapping[str, str], content: bytes = b"") -> None:
        """Send the request. If the other side closes meanwhile, its answer may have come before that."""
        request = h11.Request(method=method, target=path, headers=list(headers.items()))
        data = [self._http.send(request)]
        if content:
            data.append(self._http.send(h11.Data(data=content)))
        data.append(self._http.send(h11.EndOfMessage()))
        with suppress(BrokenPipeError, ConnectionResetError):
            self._send_all(b"".join(each for each in data if each))

    def _send_all(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                self._sock.settimeout(self._deadline.next_wait())
                rest = rest[self._sock.send(rest[:RECEIVED_BYTES]) :]
        except TimeoutError as error:
            raise OutboundTimeout("The other side took too long to receive the request.") from error
        except (BrokenPipeError, ConnectionResetError):
            raise
        except OSError as error:
            raise OutboundFailed("The connection was lost.") from error

    def receive_head(self) -> h11.Response:
        """Return the status and the header fields of the answer; interim answers (1xx) are read and ignored."""
        for _ in range(MAX_INTERIM_ANSWERS + 1):
            event = self._next_event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                break
        raise OutboundFailed("The answer is not valid HTTP.")

    def receive_chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes, at most `RECEIVED_BYTES` at a time. OutboundFailed if it is not complete."""
        while self._http.their_state is h11.SEND_BODY:
            if isinstance(event := self._next_event(), h11.Data):
                yield bytes(event.data)

    def _next_event(self) -> Event:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(self._receive())
        except h11.RemoteProtocolError as error:
            is_cut = self._http.trailing_data[1]
            raise OutboundFailed("The answer ended early." if is_cut else "The answer is not valid HTTP.") from error
        return event

    def _receive(self) -> bytes:
        self._sock.settimeout(self._deadline.next_wait())
        try:
            return self._sock.recv(RECEIVED_BYTES)
        except TimeoutError as error:
            raise OutboundTimeout("The other side took too long.") from error
        except OSError as error:
            raise OutboundFailed("The connection was lost.") from error

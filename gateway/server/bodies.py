"""The bodies of requests: decoders that know where they end (RFC 9112, sections 6 and 7.1)."""

from __future__ import annotations

import re

from gateway.problems import MalformedRequest
from gateway.server.request_head import check_line_ends

MAX_LINE_BYTES = 4096
MAX_EXTRA_BYTES = 64 * 1024
DATA_BYTES_FOR_ONE_EXTRA = 8  # chunks of 48 bytes and more are no fault, however many they are
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[^\0\r\n]*)?")
_FIELD_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t \x21-\x7e\x80-\xff]*")  # RFC 9110, 5.1 and 5.5


class FixedBody:
    """A body of a length that the head gives."""

    def __init__(self, length: int) -> None:
        self._remaining_bytes = length

    @property
    def is_complete(self) -> bool:
        """Whether all of it was taken."""
        return not self._remaining_bytes

    def take(self, buffer: bytearray) -> bytes:
        """Remove what belongs to the body from `buffer`, and return it. Call again when more has come."""
        data = bytes(buffer[: self._remaining_bytes])
        del buffer[: self._remaining_bytes]
        self._remaining_bytes -= len(data)
        return data

    def take_whole(self, data: bytes) -> bool:
        """Count `data` as a part of the body, if all of it belongs to the body: then it need not be copied."""
        if len(data) > self._remaining_bytes:
            return False
        self._remaining_bytes -= len(data)
        return True


class ChunkedBody:
    """Decodes one body, in pieces of any size. httptools does the same, but cannot say where the body ended.

    Extensions of chunks and trailers are dropped.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self._chunk_bytes = 0  # of the current chunk, still to come
        self._is_chunk_end = False  # the next line is the empty one behind a chunk
        self._is_trailer = False
        self._spare_bytes = MAX_EXTRA_BYTES  # that may come besides data: many tiny chunks cost much time

    def take(self, buffer: bytearray) -> bytes:
        """Remove what belongs to the body from `buffer`, and return the data in it. Call again when more has come."""
        pieces: list[bytes] = []
        while not self.is_complete:
            if self._chunk_bytes:
                pieces.append(self._take_data(buffer))
            if self._chunk_bytes or (line := self._take_line(buffer)) is None:
                break
            self._read_line(line)
        return b"".join(pieces)

    def _take_data(self, buffer: bytearray) -> bytes:
        data = bytes(buffer[: self._chunk_bytes])
        del buffer[: self._chunk_bytes]
        self._chunk_bytes -= len(data)
        self._spare_bytes = min(self._spare_bytes + len(data) // DATA_BYTES_FOR_ONE_EXTRA, MAX_EXTRA_BYTES)
        self._is_chunk_end = True
        return data

    def _take_line(self, buffer: bytearray) -> bytes | None:
        end = buffer.find(b"\r\n", 0, MAX_LINE_BYTES)
        check_line_ends(bytes(buffer[: end + 2] if end >= 0 else buffer[: MAX_LINE_BYTES - 1].removesuffix(b"\r")))
        if end < 0:
            if len(buffer) >= MAX_LINE_BYTES:
                raise MalformedRequest("A line between the chunks of the body is too long.")
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        self._spare_bytes -= end + 2
        if self._spare_bytes < 0:
            raise MalformedRequest("The chunks of the body are too small, or its trailers too long.")
        return line

    def _read_line(self, line: bytes) -> None:
        if self._is_trailer:
            self.is_complete = not line
            if line and not _FIELD_LINE.fullmatch(line):
                raise MalformedRequest("A trailer behind the body is no header field.")
        elif self._is_chunk_end:
            if line:
                raise MalformedRequest("A chunk of the body is longer than its size says.")
            self._is_chunk_end = False
        else:
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                raise MalformedRequest("The size of a chunk is not a hexadecimal number.")
            self._chunk_bytes = int(match[1], 16)
            self._is_trailer = not self._chunk_bytes

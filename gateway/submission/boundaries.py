"""Multipart bodies as some clients write them, with a preamble or LF line ends, in the shape that the parser reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import chain

from gateway.problems import MalformedForm

MAX_PREAMBLE_BYTES = 16 * 1024
MAX_PADDING = 128
MAX_HEADER_BYTES = 8 * 1024
"""More than the parser takes of one header."""


class BodyNormalizer:
    """Drops what stands before the first boundary, and ends lines with CRLF if that boundary's line ends with LF.

    The usual body passes unchanged: only its first bytes are compared.
    """

    def __init__(self, boundary: bytes) -> None:
        self._line = b"--" + boundary
        self._longest = len(self._line) + MAX_PADDING + len("\n\r\n")
        self._rest = b"\n"  # a boundary begins a line, and so does the body
        self._has_begun = False
        self._is_in_headers = True
        self.normalize: Callable[[bytes], Iterable[bytes]] = self._skip_preamble
        """Takes one chunk of the body, and returns what the parser may have of it and of earlier ones, in pieces."""

    @cached_property
    def _boundary(self) -> re.Pattern[bytes]:
        return re.compile(rb"\n%s(--|[ \t]{0,%d}\r?\n)" % (re.escape(self._line), MAX_PADDING))

    def ensure_begun(self) -> None:
        """Raise `MalformedForm` if no boundary has come."""
        if not self._has_begun:
            raise MalformedForm(
                "The body does not begin with the boundary that Content-Type names. "
                "Let the HTTP client set Content-Type."
            )

    def _skip_preamble(self, chunk: bytes) -> Iterable[bytes]:
        if len(self._rest) == 1 and chunk.startswith(self._line + b"\r\n"):  # the usual body
            self._has_begun, self.normalize = True, _pass_on
            return [chunk]
        self._rest += chunk
        match = self._boundary.search(self._rest, 0, MAX_PREAMBLE_BYTES)
        if match is None:
            if len(self._rest) > MAX_PREAMBLE_BYTES:
                self.ensure_begun()
            return []
        self._has_begun = match[1] != b"--" or not self._rest[: match.start()].strip()
        self.ensure_begun()
        rest, self._rest = self._rest[match.end() :], b""
        is_lf = match[1].lstrip(b" \t") == b"\n"
        self.normalize = self._end_lines if is_lf else _pass_on
        return chain([self._line + _end_of(match)], self.normalize(rest))

    def _end_lines(self, chunk: bytes) -> Iterable[bytes]:
        """Yield the chunk with the line ends of headers and boundaries, but not of content, made CRLF.

        Each line by itself: the parser refuses too many of them before the rest is looked at.
        """
        self._rest += chunk
        while (piece := self._take_header() if self._is_in_headers else self._take_content()) is not None:
            yield piece

    def _take_header(self) -> bytes | None:
        line, newline, rest = self._rest.partition(b"\n")
        if len(line) > MAX_HEADER_BYTES:
            raise MalformedForm(f"A part has a header of more than {MAX_HEADER_BYTES} bytes. Send shorter headers.")
        if not newline:
            return None
        line, self._rest = line.removesuffix(b"\r"), rest
        self._is_in_headers = line != b""
        return line + b"\r\n"

    def _take_content(self) -> bytes | None:
        match = self._boundary.search(self._rest)
        if match is None:
            return self._take_until(self._start_of_partial_boundary()) or None
        content = self._take_until(match.start())
        self._take_until(len(match[0]))
        self._is_in_headers = True
        if match[1] == b"--":  # nothing of what follows counts
            self.normalize, self._rest = _pass_on, b""
        return content + b"\r\n" + self._line + _end_of(match)

    def _take_until(self, stop: int) -> bytes:
        taken, self._rest = self._rest[:stop], self._rest[stop:]
        return taken

    def _start_of_partial_boundary(self) -> int:
        """Return where a boundary begins of which more may follow: at the last LF, as no boundary has one inside."""
        start = self._rest.rfind(b"\n", max(0, len(self._rest) - self._longest))
        return len(self._rest) if start == -1 else start


def _end_of(match: re.Match[bytes]) -> bytes:
    return b"--" if match[1] == b"--" else b"\r\n"


def _pass_on(chunk: bytes) -> Iterable[bytes]:
    return [chunk]

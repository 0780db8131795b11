"""Multipart forms as a stream of events: a file's bytes are passed on as they arrive, without a temporary file."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import cached_property

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from gateway.problems import MalformedForm, TooManyParts, UnsupportedMediaType
from gateway.submission.boundaries import BodyNormalizer
from gateway.submission.content_digest import ContentDigest
from gateway.submission.file_names import parse_filename
from gateway.submission.media_types import media_type_of

TRANSFER_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
"""Content-Transfer-Encodings that leave the bytes as they are."""
MAX_PARTS = 32
MAX_FIELD_BYTES = 8 * 1024
_HEADER_AFTER_LF = re.compile(rb"\n(Content-|\n)", re.IGNORECASE)


@dataclass
class Part:
    """The headers of one part: its field's name and, for a file, the file's name and declared type."""

    headers: dict[str, bytes] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """The field's name."""
        _, options = parse_options_header(self._disposition)
        return options.get(b"name", b"").decode("utf-8", "replace")

    @cached_property
    def filename(self) -> str | None:
        """The file's name, which is only a label."""
        return parse_filename(self._disposition)

    @cached_property
    def media_type(self) -> str:
        """The declared type, in lower case; empty if there is none."""
        return media_type_of(self._text_of("content-type") or "")

    @property
    def content_digest(self) -> str | None:
        """The part's own Content-Digest."""
        return self._text_of("content-digest")

    @property
    def transfer_encoding(self) -> str:
        """How the content is encoded, in lower case."""
        return (self._text_of("content-transfer-encoding") or "binary").strip().lower()

    @property
    def _disposition(self) -> bytes:
        return self.headers.get("content-disposition", b"")

    def _text_of(self, header: str) -> str | None:
        value = self.headers.get(header)
        return None if value is None else value.decode("latin-1")


Event = Part | bytes | None
"""A `Part` begins a part, bytes are a piece of its content, None ends it."""


class _Collector:
    """Turns the parser's callbacks into events."""

    def __init__(self, boundary: bytes) -> None:
        self.events: list[Event] = []
        self.has_ended = False
        self._parts = 0
        self._part = Part()
        self._name = bytearray()
        self._value = bytearray()
        self._body = BodyNormalizer(boundary)
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda data, start, stop: self._name.extend(data[start:stop]),
                "on_header_value": lambda data, start, stop: self._value.extend(data[start:stop]),
                "on_header_end": self._add_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": lambda data, start, stop: self.events.append(data[start:stop]),
                "on_part_end": lambda: self.events.append(None),
                "on_end": self._end_form,
            },
        )

    def feed(self, chunk: bytes) -> list[Event]:
        """Parse one chunk of the body and return its events."""
        self.events = []
        try:
            for piece in self._body.normalize(chunk):
                self.parser.write(piece)
        except FormParserError as error:
            msg = f"The multipart body is malformed: {error}. Correct its encoding and send it again."
            raise MalformedForm(msg) from error
        return self.events

    def ensure_begun(self) -> None:
        """Raise `MalformedForm` if no boundary has come."""
        self._body.ensure_begun()

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            msg = f"The form has more than {MAX_PARTS} parts. Send only the fields that this route takes."
            raise TooManyParts(msg)
        self._part = Part()

    def _add_header(self) -> None:
        if _HEADER_AFTER_LF.search(self._value):
            raise MalformedForm("A header of a part ends with LF, others with CRLF. End all lines with CRLF.")
        self._part.headers[self._name.decode("latin-1").lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        encoding = self._part.transfer_encoding
        if encoding not in TRANSFER_ENCODINGS:
            raise UnsupportedMediaType(
                f"The part {self._part.name!r} has the Content-Transfer-Encoding {encoding!r}, which forms do not use "
                "(RFC 7578, section 4.7). Send the bytes as they are, without this header."
            )
        self.events.append(self._part)

    def _end_form(self) -> None:
        self.has_ended = True


async def parse_multipart(request: Request) -> AsyncGenerator[Event, None]:
    """Yield the events of the request's form. Raises `MalformedForm`, and `UnsupportedMediaType` for an encoded part.

    Raises `DigestMismatch` when the body, or a part, does not match its Content-Digest; for a part, before its end.
    """
    _, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise MalformedForm("Content-Type names no boundary. Let the HTTP client set Content-Type.")
    try:
        collector = _Collector(boundary)
    except FormParserError as error:
        msg = f"The boundary in Content-Type is not valid: {error}. Let the HTTP client set Content-Type."
        raise MalformedForm(msg) from error
    check = part_check = ContentDigest(request.headers.get("content-digest"))
    async for chunk in request.stream():
        check.update(chunk)
        for event in collector.feed(chunk):
            if isinstance(event, Part):
                part_check = ContentDigest(event.content_digest, part=event.name)
            elif event is None:
                part_check.verify()
            else:
                part_check.update(event)
            yield event
    collector.ensure_begun()
    if not collector.has_ended:
        msg = "The multipart body ends before its last boundary. Send the whole body again."
        raise MalformedForm(msg)
    check.verify()

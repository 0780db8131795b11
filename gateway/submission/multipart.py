"""Multipart forms as a stream of events: a file's bytes are passed on as they arrive, without a temporary file."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from gateway.problems import MalformedForm, TooManyParts, UnsupportedMediaType
from gateway.submission.content_digest import ContentDigest

MEDIA_TYPE = "multipart/form-data"
MAX_PARTS = 32
MAX_FIELD_BYTES = 8 * 1024


@dataclass(slots=True)
class Part:
    """The headers of one part: its field's name and, for a file, the file's name and declared type."""

    headers: dict[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The field's name."""
        return self._option(b"name") or ""

    @property
    def filename(self) -> str | None:
        """The file's name, which is only a label; None for a part that is not a file."""
        return self._option(b"filename")

    @property
    def content_digest(self) -> str | None:
        """The part's own Content-Digest."""
        value = self.headers.get("content-digest")
        return None if value is None else value.decode("latin-1")

    def _option(self, option: bytes) -> str | None:
        _, options = parse_options_header(self.headers.get("content-disposition", b""))
        value = options.get(option)
        return value.decode("utf-8", "replace") if value is not None else None


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
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda data, start, stop: self._name.extend(data[start:stop]),
                "on_header_value": lambda data, start, stop: self._value.extend(data[start:stop]),
                "on_header_end": self._add_header,
                "on_headers_finished": lambda: self.events.append(self._part),
                "on_part_data": lambda data, start, stop: self.events.append(data[start:stop]),
                "on_part_end": lambda: self.events.append(None),
                "on_end": self._end_form,
            },
        )

    def feed(self, chunk: bytes) -> list[Event]:
        """Parse one chunk of the body and return its events."""
        self.events = []
        try:
            self.parser.write(chunk)
        except FormParserError as error:
            msg = f"The multipart body is malformed: {error}. Correct its encoding and send it again."
            raise MalformedForm(msg) from error
        return self.events

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            msg = f"The form has more than {MAX_PARTS} parts. Send only the fields that this route takes."
            raise TooManyParts(msg)
        self._part = Part()

    def _add_header(self) -> None:
        self._part.headers[self._name.decode("latin-1").lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _end_form(self) -> None:
        self.has_ended = True


async def parse_multipart(request: Request) -> AsyncGenerator[Event, None]:
    """Yield the events of the request's form. Raises `UnsupportedMediaType` and `MalformedForm`.

    Raises `DigestMismatch` when the body, or a part, does not match its Content-Digest; for a part, before its end.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type != MEDIA_TYPE.encode():
        msg = f"The body is not {MEDIA_TYPE}. Send a multipart form, with the image in the field file."
        raise UnsupportedMediaType(msg, headers={"Accept": MEDIA_TYPE, "Accept-Post": MEDIA_TYPE})
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
    if not collector.has_ended:
        msg = "The multipart body ends before its last boundary. Send the whole body again."
        raise MalformedForm(msg)
    check.verify()

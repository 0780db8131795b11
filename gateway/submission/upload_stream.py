"""The upload stream: write the image of a request to the blob store; count, hash and sniff it meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from fastapi import Request

from gateway.problems import BodyTooLarge, DigestMismatch, FileMissing, InvalidForm, TooManyFiles, TooManyParts
from gateway.sizes import format_size
from gateway.submission.content_digest import is_digest_of
from gateway.submission.forms import FIELD_NAMES
from gateway.submission.media_types import (
    FORM_TYPE,
    JSON_TYPE,
    is_file_type,
    is_text_type,
    media_type_of,
    refuse_media_type,
)
from gateway.submission.multipart import MAX_FIELD_BYTES, MAX_PARTS, Event, Part, parse_multipart
from gateway.submission.raw_body import read_raw_body
from pipeline.original_meter import OriginalMeter
from stages.formats import HEAD_BYTES
from stages.limits import Limits
from storage.blobs import Blobs
from storage.documents import Original

FILE_FIELD = "file"
OnWrite = Callable[[int], object]
CheckFormat = Callable[[str], object]
StoreFile = Callable[[str | None, bytes, AsyncIterator[bytes]], Awaitable[Original]]
NO_FILE_NAME = f"The field {FILE_FIELD} has no file name. Send the image as a file, with a file name."
ONE_FILE = (
    "The form has more than one file. Send each file in a request of its own: in Uppy with `bundle: false`, in "
    "Dropzone with `uploadMultiple: false`, in HTML without `multiple`."
)
DIGEST_OF_FILE = (
    "The request's Content-Digest is that of the file, but it must be that of the whole multipart body (RFC 9530). "
    f"Send the file's digest in the header of the part {FILE_FIELD} instead: Content-Digest: sha-256=:BASE64:."
)


@dataclass(slots=True)
class Form:
    """The content of a form: the stored image, the name of its field, and the other fields as text."""

    original: Original | None = None
    file_field: str | None = None
    fields: dict[str, str] = field(default_factory=dict)

    def add_field(self, name: str, value: str) -> None:
        """Add a field. Raises `InvalidForm` if a route knows it and the request has it already."""
        if name in self.fields and name in FIELD_NAMES:
            raise InvalidForm(f"The request has the field {name!r} more than once. Send each field once.")
        self.fields.setdefault(name, value)


async def store_upload(
    request: Request,
    blobs: Blobs,
    *,
    key: str,
    limits: Limits,
    on_write: OnWrite = lambda _: None,
    check_format: CheckFormat = lambda _: None,
) -> tuple[Original | None, dict[str, str]]:
    """Store the request's file, if it has one, under `key`, and return it with the fields of its query and form.

    Holds at most one chunk of the file in memory. Raises a `Problem` for an invalid form, and a `StageError` for a file
    that its first bytes show to be unacceptable. The blob may exist then; the caller removes it. `on_write` is called
    with the number of bytes that were written, `check_format` with the format before any byte is.
    """
    form = Form()
    events = _read_body(request, limits)
    _add_query(request, form)
    try:
        store_file = partial(
            _store_file, blobs=blobs, key=key, limits=limits, on_write=on_write, check_format=check_format
        )
        await _read_parts(events, form, store_file)
    except DigestMismatch as error:
        if form.original and is_digest_of(request.headers.get("content-digest"), form.original.sha256):
            raise DigestMismatch(DIGEST_OF_FILE) from error
        raise
    return form.original, form.fields


def _read_body(request: Request, limits: Limits) -> AsyncGenerator[Event, None]:
    content_type = request.headers.get("content-type", "")
    if media_type_of(content_type) == FORM_TYPE:
        return parse_multipart(request)
    if is_file_type(content_type):
        return read_raw_body(request, max_bytes=limits.upload_bytes)
    raise refuse_media_type(content_type)


def _add_query(request: Request, form: Form) -> None:
    query = request.query_params.multi_items()
    if len(query) > MAX_PARTS:
        raise TooManyParts(f"The query has more than {MAX_PARTS} fields. Send only the fields that this route takes.")
    for name, value in query:
        form.add_field(name, value)


async def _read_parts(events: AsyncGenerator[Event, None], form: Form, store_file: StoreFile) -> None:
    async with aclosing(events) as stream:
        async for event in stream:
            if not isinstance(event, Part):
                continue
            if _is_file(event):
                await _read_file(stream, event, form, store_file)
            else:
                form.add_field(event.name, await _read_text(stream, event.name))
    if form.file_field is not None:
        form.fields.pop(form.file_field, None)  # FilePond sends data about the file in a field of the same name
    elif FILE_FIELD in form.fields:
        raise FileMissing(NO_FILE_NAME)


def _is_file(part: Part) -> bool:
    """Whether a part is a file: it has a file name, or the type of a file; in the field file, any type but a text's.

    JSON in a field that a route knows is no file: browsers send it as a Blob, which has a file name in a form.
    """
    if part.name in FIELD_NAMES and media_type_of(part.media_type) == JSON_TYPE:
        return False
    has_type = is_file_type(part.media_type) or (part.name == FILE_FIELD and not is_text_type(part.media_type))
    return part.filename is not None or has_type


async def _read_file(stream: AsyncIterator[Event], part: Part, form: Form, store_file: StoreFile) -> None:
    """Read a part that is a file. Its field may have any name, as clients differ; but there is only one file."""
    if part.name in FIELD_NAMES:
        raise InvalidForm(f"The field {part.name!r} is a file. Send its value as text.")
    content = _iterate_content(stream)
    head = await _read_head(content)
    if not head and not part.filename:  # browsers send this for <input type="file"> without a chosen file
        return
    if form.original is not None:
        raise TooManyFiles(ONE_FILE)
    form.original, form.file_field = await store_file(part.filename or None, head, content), part.name


async def _store_file(  # noqa: PLR0913  # what, and where to
    name: str | None,
    head: bytes,
    content: AsyncIterator[bytes],
    *,
    blobs: Blobs,
    key: str,
    limits: Limits,
    on_write: OnWrite,
    check_format: CheckFormat,
) -> Original:
    meter = OriginalMeter(head, limits)
    check_format(meter.format)
    async with blobs.writer(key, observe=meter.hash) as blob:
        chunk: bytes | None = head
        while chunk is not None:
            meter.count(chunk)
            if meter.is_too_large:
                raise BodyTooLarge(f"The file is larger than {format_size(limits.upload_bytes)}. Send a smaller file.")
            await blob.write(chunk)
            on_write(len(chunk))
            chunk = await anext(content, None)
    return meter.describe(blob=key, name=name)


async def _iterate_content(stream: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    """Yield the content of the current part."""
    async for event in stream:
        if not isinstance(event, bytes):
            return
        yield event


async def _read_head(content: AsyncIterator[bytes]) -> bytes:
    """Return at least the bytes that show the format, or the whole content if it is shorter."""
    head = b""
    async for chunk in content:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head


async def _read_text(stream: AsyncIterator[Event], name: str) -> str:
    value = b""
    async for chunk in _iterate_content(stream):
        value += chunk
        if len(value) > MAX_FIELD_BYTES:
            if name == FILE_FIELD:  # such as an image in base64
                raise FileMissing(NO_FILE_NAME)
            raise InvalidForm(
                f"A field of the form is larger than {format_size(MAX_FIELD_BYTES)}. Send a shorter value."
            )
    return value.decode("utf-8", "replace")

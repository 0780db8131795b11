"""The upload stream: write the image of a multipart body to the blob store; count, hash and sniff it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256

from fastapi import Request

from gateway.problems import BodyTooLarge, DigestMismatch, FileMissing, InvalidForm, TooManyFiles
from gateway.sizes import format_size
from gateway.submission.content_digest import is_digest_of
from gateway.submission.multipart import MAX_FIELD_BYTES, Event, Part, parse_multipart
from stages.formats import HEAD_BYTES, MEDIA_TYPES, recognize
from stages.limits import Limits
from storage.blobs import Blobs
from storage.documents import Original

FILE_FIELD = "file"
OnWrite = Callable[[int], object]
DIGEST_OF_FILE = (
    "The request's Content-Digest is that of the file, but it must be that of the whole multipart body (RFC 9530). "
    f"Send the file's digest in the header of the part {FILE_FIELD} instead: Content-Digest: sha-256=:BASE64:."
)


@dataclass(slots=True)
class Form:
    """The content of a form: the stored image, and the other fields as text."""

    original: Original | None = None
    fields: dict[str, str] = field(default_factory=dict)


async def store_upload(
    request: Request, blobs: Blobs, *, key: str, limits: Limits, on_write: OnWrite = lambda _: None
) -> tuple[Original | None, dict[str, str]]:
    """Store the form's file, if it has one, under `key`, and return it with the form's other fields.

    Holds at most one chunk of the file in memory. Raises a `Problem` for an invalid form, and a `StageError` for a file
    that its first bytes show to be unacceptable. The blob may exist then; the caller removes it. `on_write` is called
    with the number of bytes that were written.
    """
    form = Form()
    try:
        await _read_parts(request, form, blobs, key, limits, on_write)
    except DigestMismatch as error:
        if form.original and is_digest_of(request.headers.get("content-digest"), form.original.sha256):
            raise DigestMismatch(DIGEST_OF_FILE) from error
        raise
    if form.original is not None:
        await asyncio.to_thread(blobs.sync, key)
    return form.original, form.fields


async def _read_parts(request: Request, form: Form, blobs: Blobs, key: str, limits: Limits, on_write: OnWrite) -> None:
    async with aclosing(parse_multipart(request)) as stream:
        async for event in stream:
            if not isinstance(event, Part):
                continue
            if event.filename is None and event.name == FILE_FIELD:
                raise FileMissing(
                    f"The field {FILE_FIELD} has no file name. Send the image as a file, with a file name."
                )
            if event.filename is None:
                _add_field(form.fields, event.name, await _read_text(stream))
            elif event.name != FILE_FIELD:
                raise InvalidForm(f"The field {event.name!r} is a file. Send the image in the field {FILE_FIELD}.")
            elif form.original is not None:
                raise TooManyFiles("The form has more than one file. Send one file in each request.")
            else:
                form.original = await _store_file(stream, event, blobs, key, limits, on_write)


def _add_field(fields: dict[str, str], name: str, value: str) -> None:
    if name in fields:
        raise InvalidForm(f"The form has the field {name!r} more than once. Send each field once.")
    fields[name] = value


async def _store_file(
    stream: AsyncIterator[Event], part: Part, blobs: Blobs, key: str, limits: Limits, on_write: OnWrite
) -> Original:
    digest, size = sha256(), 0
    content = _iterate_content(stream)
    head = await _read_head(content)
    sniffed = recognize(head, limits)
    async with blobs.writer(key) as blob:
        chunk: bytes | None = head
        while chunk is not None:
            size += len(chunk)
            if size > limits.upload_bytes:
                raise BodyTooLarge(f"The file is larger than {format_size(limits.upload_bytes)}. Send a smaller file.")
            digest.update(chunk)
            await blob.write(chunk)
            on_write(len(chunk))
            chunk = await anext(content, None)
    return Original(
        blob=key,
        name=part.filename or None,
        media_type=MEDIA_TYPES[sniffed.format],
        bytes=size,
        sha256=digest.hexdigest(),
    )


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


async def _read_text(stream: AsyncIterator[Event]) -> str:
    value = b""
    async for chunk in _iterate_content(stream):
        value += chunk
        if len(value) > MAX_FIELD_BYTES:
            raise InvalidForm(
                f"A field of the form is larger than {format_size(MAX_FIELD_BYTES)}. Send a shorter value."
            )
    return value.decode("utf-8", "replace")

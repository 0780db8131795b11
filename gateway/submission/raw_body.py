"""A body that is the image itself, as the only part of a form. Its name, if any, is in Content-Disposition."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.requests import Request

from gateway.problems import BodyTooLarge, FileMissing
from gateway.sizes import format_size
from gateway.submission.content_digest import ContentDigest
from gateway.submission.multipart import Event, Part
from gateway.whole_numbers import parse_whole_number

PART_HEADERS = ("content-disposition", "content-type")


async def read_raw_body(request: Request, *, max_bytes: int) -> AsyncGenerator[Event, None]:
    """Yield the events of the body. Raises `FileMissing` if it is empty.

    Raises `BodyTooLarge` before it reads a body that says that it is too large, and `DigestMismatch` at the end of one
    that does not match its Content-Digest.
    """
    if (parse_whole_number(request.headers.get("content-length", "")) or 0) > max_bytes:
        raise BodyTooLarge(f"The file is larger than {format_size(max_bytes)}. Send a smaller file.")
    check = ContentDigest(request.headers.get("content-digest"), is_file=True)
    part: Part | None = None
    async for chunk in request.stream():
        if part is None and chunk:
            part = Part({name: request.headers.get(name, "").encode("latin-1") for name in PART_HEADERS})
            yield part
        if chunk:
            check.update(chunk)
            yield chunk
    if part is None:
        raise FileMissing("The body is empty. Send the image as the body.")
    check.verify()
    yield None

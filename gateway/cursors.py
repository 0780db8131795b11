"""The cursor of a list: the id that the next page is below, in a form that clients send back unchanged."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated
from uuid import UUID

from fastapi import Query

from gateway.problems import InvalidCursor

CursorQuery = Annotated[str | None, Query(description="The value of `next` from the previous page.", max_length=100)]
LimitQuery = Annotated[int, Query(ge=1, le=100)]


def encode_cursor(before_id: str) -> str:
    """Return the cursor of the page below an id."""
    return urlsafe_b64encode(before_id.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """Return the id that a page is below. Raises `InvalidCursor`."""
    try:
        return str(UUID(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()))
    except ValueError as error:
        raise InvalidCursor(
            "The cursor is not valid. Send the value of next from the previous page, unchanged."
        ) from error

"""The cursor of a list of deliveries, in a form that clients send back unchanged."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from typing import Annotated

from fastapi import Query

from gateway.problems import InvalidCursor
from storage.delivery_store import DeliveryCursor

_CURSOR = re.compile("([0-9]{1,15}):([A-Za-z0-9_.-]{1,200})")
DeliveryCursorQuery = Annotated[
    str | None, Query(description="The value of `next` from the previous page.", max_length=400)
]


def encode_cursor(before: DeliveryCursor) -> str:
    """Return the cursor of the page before a delivery."""
    return urlsafe_b64encode(f"{before.created_ms}:{before.delivery_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> DeliveryCursor:
    """Return where a page begins. Raises `InvalidCursor`."""
    with suppress(ValueError):
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        if match := _CURSOR.fullmatch(text):
            return DeliveryCursor(int(match[1]), match[2])
    raise InvalidCursor("The cursor is not valid. Send the value of next from the previous page, unchanged.")

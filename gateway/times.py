"""Times as answers show them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload


@overload
def to_datetime(ms: int) -> datetime: ...


@overload
def to_datetime(ms: int | None) -> datetime | None: ...


def to_datetime(ms: int | None) -> datetime | None:
    """Return a time of epoch ms; None of None."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)

"""Moments in a filter: a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from storage.clock import now_ms
from storage.documents import EPOCH

AGO = re.compile(r"^(\d{1,6})([smhdw])$")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def read_moment(text: str) -> int:
    """Return a moment in epoch ms: of a time in ISO 8601, in UTC unless it says otherwise, or of `30d`, 30 days ago.

    Raises ValueError.
    """
    if ago := AGO.match(text):
        return max(0, now_ms() - int(ago[1]) * SECONDS[ago[2]] * 1000)
    try:
        time = datetime.fromisoformat(text)
        since_epoch = (time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH
        return max(0, since_epoch // timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        raise ValueError("a time such as 2026-11-30T12:00:00Z, or how long ago, such as 30d, is needed") from None


def _check(text: str) -> str:
    read_moment(text)
    return text


Moment = Annotated[
    str,
    Field(max_length=40, examples=["30d", "2026-11-30T12:00:00Z"]),
    AfterValidator(_check),
]

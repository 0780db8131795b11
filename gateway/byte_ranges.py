"""Byte ranges (RFC 9110, section 14) of content whose size is known."""

from __future__ import annotations

import re

from gateway.problems import RangeNotSatisfiable

_SINGLE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return (start, stop) of the requested range, stop exclusive, or None to send everything.

    Several ranges, other units and bad syntax are ignored, as the RFC allows. Raises `RangeNotSatisfiable`.
    """
    match = _SINGLE_RANGE.fullmatch((header or "").strip())
    if match is None or match.group(1, 2) == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    if start >= size or start >= stop:
        detail = f"The range {header!r} is outside the result, which has {size} bytes. Ask for a range inside it."
        raise RangeNotSatisfiable(detail, headers={"Content-Range": f"bytes */{size}"})
    return start, stop

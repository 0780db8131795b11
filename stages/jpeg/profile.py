"""The ICC profile of a JPEG, in the parts that its markers hold: ICC.1:2022, B.4."""

from __future__ import annotations

from collections.abc import Iterable

_SIGNATURE = b"ICC_PROFILE\0"
_NUMBER, _COUNT, _START = 12, 13, 14  # where a marker has the part's number, from 1, their count, and the part


def join_profile(segments: Iterable[bytes]) -> bytes | None:
    """Return the profile of the segments in the order of the file, or None if there is none.

    As in Chromium 156, segments without content do not count, nor does what follows the last part that was missing.
    There is no profile if a part before it is there twice, or if its number or its count cannot be.
    """
    parts: dict[int, bytes] = {}
    stated = 0
    for segment in segments:
        if not segment.startswith(_SIGNATURE) or len(segment) <= _START:
            continue
        number, count = segment[_NUMBER], segment[_COUNT]
        stated = stated or count
        if count != stated or not 1 <= number <= count or number in parts:
            return None
        parts[number] = segment[_START:]
        if len(parts) == stated:
            return b"".join(parts[number] for number in sorted(parts))
    return None

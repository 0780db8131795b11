"""Content negotiation by the header Accept (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

ANY = "*/*"


def choose_media_type(accept: str | None, offered: Sequence[str]) -> str:
    """Return what to send of the media types that are offered: the best one first, what every client shows last.

    It is the one with the highest quality of those that the client names and the last one; the first of equals. A range
    such as `image/*` names none: clients send it that show no AVIF. It counts only if nothing else is acceptable. If
    nothing is acceptable at all, it is the last one: an image that a client may show is of more use than a 406.
    """
    ranges = _parse(accept or ANY)
    acceptable = [media_type for media_type in offered if _quality_of(media_type, ranges) > 0]
    preferred = [media_type for media_type in acceptable if media_type in ranges or media_type == offered[-1]]
    if preferred:
        return max(preferred, key=lambda media_type: _quality_of(media_type, ranges))
    return (acceptable or offered)[-1]


def _parse(accept: str) -> dict[str, float]:
    """Return the quality of each media range. Parameters other than `q` are ignored: no result has one."""
    ranges = {}
    for part in accept.lower().split(","):
        media_range, *parameters = (text.strip() for text in part.split(";"))
        weights = [value for name, _, value in (text.partition("=") for text in parameters) if name.strip() == "q"]
        ranges[media_range] = _parse_weight(weights[0]) if weights else 1.0
    return ranges


def _parse_weight(text: str) -> float:
    """Return a weight from 0 to 1; 1 if it is none."""
    try:
        weight = float(text)
    except ValueError:
        return 1.0
    return min(weight, 1.0) if weight >= 0 else 1.0


def _quality_of(media_type: str, ranges: dict[str, float]) -> float:
    """Return the quality by the most specific range: `image/avif` before `image/*` before `*/*`."""
    kind = media_type.partition("/")[0]
    return next((ranges[each] for each in (media_type, f"{kind}/*", ANY) if each in ranges), 0.0)

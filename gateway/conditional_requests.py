"""Conditional requests (RFC 9110, section 13)."""

from __future__ import annotations

from fastapi import Request
from starlette.datastructures import Headers

from gateway.problems import PreconditionFailed


def evaluate_preconditions(request: Request, etag: str) -> bool:
    """Evaluate If-Match, then If-None-Match (section 13.2.2), and return whether the answer is 304.

    Raises `PreconditionFailed`. Conditions on dates are ignored, as for all content without a modification date.
    """
    if_match = read_condition(request.headers, "if-match")
    if if_match is not None and not _matches_strongly(if_match, etag):
        raise PreconditionFailed(
            f"If-Match lists no strong tag of the current state, whose tag is {etag}. A weak tag (W/) never matches.",
            headers={"ETag": etag},
        )
    is_known = matches_weakly(read_condition(request.headers, "if-none-match"), etag)
    if is_known and request.method not in {"GET", "HEAD"}:
        raise PreconditionFailed(f"If-None-Match lists the current state, whose tag is {etag}.", headers={"ETag": etag})
    return is_known


def read_condition(headers: Headers, name: str) -> str | None:
    """Return the value of a condition, its field lines joined; None without one."""
    return ", ".join(headers.getlist(name)).strip() or None


def matches_weakly(condition: str | None, etag: str) -> bool:
    """Whether a condition is `*` or lists this tag; a weak tag equals a strong one (section 8.8.3.2)."""
    return condition == "*" or etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in _split(condition)}


def _matches_strongly(condition: str, etag: str) -> bool:
    """Whether a condition is `*` or lists this tag, and neither of the two is weak."""
    return condition == "*" or (etag in _split(condition) and not etag.startswith("W/"))


def _split(condition: str | None) -> list[str]:
    return [tag.strip() for tag in (condition or "").split(",")]

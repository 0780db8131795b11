"""Conditional requests (RFC 9110, section 13)."""

from __future__ import annotations


def matches_etag(header: str | None, etag: str) -> bool:
    """Whether If-None-Match names this tag, compared weakly (section 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return etag.removeprefix("W/") in tags or "*" in tags

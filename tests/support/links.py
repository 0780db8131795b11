"""Signed links to images on demand, for the tests, signed by hand."""

from __future__ import annotations

from hmac import digest

from tests.support.tokens import ADA_SECRET, encode


def sign_link(path: str, query: str = "", secret: str = ADA_SECRET) -> str:
    """Return the path and its parameters with their signature."""
    parts = sorted(filter(None, query.split("&")))
    text = "?".join(filter(None, (path, "&".join(parts))))
    signature = encode(digest(secret.encode(), text.encode(), "sha256"))
    return f"{path}?{'&'.join([*filter(None, query.split('&')), f'sig={signature}'])}"

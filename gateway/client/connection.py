"""Where the gateway is, and who asks."""

from __future__ import annotations

import os
from typing import Any

import httpx

DEFAULT_URL = "http://127.0.0.1:8001"
LOOPBACK_PREFIXES = ("127.", "localhost", "::1")


def client_options(url: str | None, api_key: str | None) -> dict[str, Any]:
    """Return what either of httpx's clients is made with; what is None comes from DARKROOM_URL and DARKROOM_API_KEY."""
    url = normalize_url(url)
    key = api_key or os.environ.get("DARKROOM_API_KEY")
    headers = {"User-Agent": "darkroom-client"} | ({"Authorization": f"Bearer {key}"} if key else {})
    is_loopback = httpx.URL(url).host.startswith(LOOPBACK_PREFIXES)  # no proxy knows the way to this very machine
    # To where an object store has a result; httpx takes the key along to no other host.
    return {"base_url": url, "headers": headers, "trust_env": not is_loopback, "follow_redirects": True}


def normalize_url(url: str | None) -> str:
    """Return the gateway's address, spelled in one way. httpx.InvalidURL if it is none."""
    given = url or os.environ.get("DARKROOM_URL") or DEFAULT_URL
    parsed = httpx.URL(given if "://" in given else f"http://{given}")
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise httpx.InvalidURL(f"{given!r} is not the address of a gateway, such as {DEFAULT_URL}.")
    return str(parsed).rstrip("/")

"""The connection settings: the gateway's address, the API key and the proxy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from .defaults import DEFAULT_URL, USER_AGENT

MAX_REDIRECTS = 5
LOOPBACK_PREFIXES = ("127.", "localhost", "::1")


def client_options(url: str | None, api_key: str | None) -> dict[str, Any]:
    """Return the arguments of both httpx clients. DARKROOM_URL and DARKROOM_API_KEY replace a None."""
    url = normalize_url(url)
    key = api_key or os.environ.get("DARKROOM_API_KEY")
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    is_loopback = httpx.URL(url).host.startswith(LOOPBACK_PREFIXES)  # a proxy cannot reach this machine's loopback
    # httpx does not send the API key to another origin.
    return {"base_url": url, "headers": headers, "trust_env": not is_loopback, "max_redirects": MAX_REDIRECTS}


def normalize_url(url: str | None) -> str:
    """Return the gateway's address with a scheme and without a trailing slash. Raises httpx.InvalidURL."""
    address = url or os.environ.get("DARKROOM_URL") or DEFAULT_URL
    parsed = httpx.URL(address if "://" in address else f"http://{address}")
    if parsed.scheme not in {"http", "https"} or not parsed.host or not _is_resolvable(parsed):
        raise httpx.InvalidURL(f"{address!r} is not the address of a gateway, such as {DEFAULT_URL}.")
    return str(parsed).rstrip("/")


def _is_resolvable(url: httpx.URL) -> bool:
    """Whether a host name can be looked up. Python's resolver refuses empty and long labels with a UnicodeError."""
    try:
        url.raw_host.decode("ascii").encode("idna")
    except UnicodeError:
        return False
    return True


@contextmanager
def raise_as_transport_error() -> Iterator[None]:
    """Raise errors of redirects as TransportErrors, like every other failure to get an answer.

    They are too many redirects, and host names that Python's resolver cannot encode, such as a..b.
    """
    try:
        yield
    except UnicodeError as error:
        raise httpx.RemoteProtocolError(f"The server redirects to an invalid host name: {error}.") from error
    except httpx.TooManyRedirects as error:
        raise httpx.RemoteProtocolError(str(error), request=error.request) from error

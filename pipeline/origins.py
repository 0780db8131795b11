"""Origins of web pages: scheme, host and perhaps a port, exactly as browsers send them in `Origin`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

EXAMPLE = "such as https://app.example or http://localhost:5173"

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9_.:\[\]-]+")
_DEFAULT_PORT = re.compile(r"http://[^/]*:80|https://[^/]*:443")


def check_origin(origin: str) -> str:
    """Return the origin. ValueError says how to write it."""
    if "*" in origin:
        raise ValueError(f"should name each origin, without *, {EXAMPLE}")
    if "://" not in origin:  # also `null`, the origin of sandboxed frames and files
        raise ValueError(f"should begin each origin with its scheme, {EXAMPLE}")
    if "/" in origin.partition("://")[2]:
        raise ValueError(f"should have nothing behind an origin, not even a slash, {EXAMPLE}")
    if origin != origin.lower():
        raise ValueError(f"should be in lower case, {EXAMPLE}")
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(f"should have a scheme, a host and perhaps a port, {EXAMPLE}")
    return origin


def check_sent_origin(origin: str) -> str:
    """Return the origin. ValueError says how browsers write it."""
    if _DEFAULT_PORT.fullmatch(origin):
        raise ValueError(f"should leave out the default port, as browsers do, {EXAMPLE}")
    return check_origin(origin)


Origin = Annotated[str, AfterValidator(check_origin)]
SentOrigin = Annotated[str, AfterValidator(check_sent_origin)]
"""An origin that a browser can send. Older settings may have `Origin`s that none does."""

"""Allowed hosts: no web page reaches the gateway by a name of its own."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import problems

ANY = "*"
PROBE_PATHS = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths that probes and scrapers request by whatever name their network has for the gateway."""
MAX_SHOWN_CHARACTERS = 100
MAX_CACHED_HOSTS = 64

_HOST = re.compile(r"\[?([^\[\]]*?)\]?(:[0-9]*)?", re.ASCII)


class AllowedHosts:
    """ASGI middleware that answers 421 if `Host` is neither a loopback name, nor an IP address, nor one of `names`.

    A web page can point a name of its own at a loopback address (DNS rebinding): its browser then takes the gateway for
    a part of the page's site, but still sends that name. It cannot do so with an IP address.
    """

    def __init__(self, app: ASGIApp, *, names: Collection[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)
        self._allows = lru_cache(MAX_CACHED_HOSTS)(self._check)  # nearly all requests name the same

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request before its body is read, or pass it on."""
        if scope["type"] != "http" or scope["path"] in PROBE_PATHS:
            await self._app(scope, receive, send)
            return
        for host in Headers(scope=scope).getlist("host"):
            if not self._allows(host):
                detail = (
                    f"The gateway does not serve the host {host[:MAX_SHOWN_CHARACTERS]!r}. "
                    "Use localhost or an IP address, or add the name to DARKROOM_HTTP__ALLOWED_HOSTS."
                )
                await problems.build_response(421, "host_not_allowed", detail)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, host: str) -> bool:
        match = _HOST.fullmatch(host.lower())
        name = match[1].removesuffix(".") if match else ""
        return ANY in self._names or name in self._names or is_loopback_name(name) or _is_address(name)


def is_loopback_name(name: str) -> bool:
    """Whether the name always means this machine (RFC 6761, section 6.3)."""
    return name == "localhost" or name.endswith(".localhost")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True

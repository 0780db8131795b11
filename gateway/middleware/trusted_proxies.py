"""Trusted proxies: the client's address and scheme, as the proxies in front of the gateway report them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

Network = IPv4Network | IPv6Network
MAX_CACHED_PEERS = 1024


class TrustedProxies:
    """ASGI middleware that believes `X-Forwarded-For` and `X-Forwarded-Proto` of trusted proxies only.

    `X-Forwarded-For` is read from the right, because each proxy appends its peer: the client is the first address that
    is not a trusted proxy's, and what a client forged stands to the left of it.
    """

    def __init__(self, app: ASGIApp, *, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._contains = lru_cache(MAX_CACHED_PEERS)(self._check)  # few clients send many requests
        self._app = ProxyHeadersMiddleware(cast("Any", app), [str(network) for network in networks])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note whether the peer is a trusted proxy, and set the request's client and scheme."""
        if scope["type"] == "http":
            scope.setdefault("state", {})["is_proxied"] = self._contains((scope.get("client") or ("",))[0])
        await self._app(cast("Any", scope), cast("Any", receive), cast("Any", send))

    def _check(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:  # such as a unix socket
            return False
        return any(address in network for network in self._networks)


def is_proxied(scope: Scope) -> bool:
    """Whether the request's connection comes from a trusted proxy."""
    return bool(scope.get("state", {}).get("is_proxied"))


def read_uvicorn_variable() -> tuple[Network, ...]:
    """Return the proxies in uvicorn's own variable, which earlier versions documented. `*` is every address."""
    names = os.environ.get("FORWARDED_ALLOW_IPS", "").replace("*", "0.0.0.0/0,::/0").split(",")
    return tuple(ip_network(name.strip()) for name in names if name.strip())

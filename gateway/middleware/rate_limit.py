"""Rate limits by API key, or by address without keys. Redis counts for all gateways together."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, cast

import structlog
from limits import RateLimitItem, WindowStats
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from gateway.permission import Scope as TokenScope
from gateway.permission import permission_of
from gateway.routing import route_of
from pipeline.broker.redis_connections import raise_connection_error_when_closed
from pipeline.broker.redis_urls import RedisUrl

LIST_ROUTE = "/jobs"
TIMEOUT_SECONDS = 1.0  # how long a request waits for a Redis that does not answer
IPV6_NETWORK_BITS = 64
MAX_CACHED_ADDRESSES = 1024

log = structlog.get_logger("gateway")


class RateLimit:
    """ASGI middleware that counts POSTs and lists of jobs apart; over their limit it answers 429.

    It sends the headers of draft-ietf-httpapi-ratelimit-headers-10 (`RateLimit`, `RateLimit-Policy`). If Redis does not
    answer, requests pass: the limit is for fairness, not for safety.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limiter: SlidingWindowCounterRateLimiter,
        posts: RateLimitItem | None,
        lists: RateLimitItem | None = None,
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._posts = Policy("default", posts) if posts else None
        self._lists = Policy("lists", lists) if lists else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request if it has a limit, and add what is left of it to the answer's headers."""
        policy = self._find_policy(scope)
        if policy is None:
            await self._app(scope, receive, send)
            return
        identifiers = policy.identify(caller_of(scope))
        try:
            is_within_limit = await self._limiter.hit(policy.limit, *identifiers)
            window = await self._limiter.get_window_stats(policy.limit, *identifiers)
        except StorageError as error:
            log.warning("rate_limit.uncounted", error=repr(error))
            await self._app(scope, receive, send)
            return
        headers = policy.build_headers(window)
        if is_within_limit:
            await self._app(scope, receive, _add_headers(send, headers))
            return
        seconds = str(max(1, math.ceil(window.reset_time - time.time())))
        detail = (
            f"The limit of {policy.limit.amount} requests in {policy.limit.get_expiry()} seconds is exceeded. "
            "Send the request again after the time in Retry-After."
        )
        headers |= {"Retry-After": seconds}
        await problems.build_response(429, "rate_limited", detail, headers=headers)(scope, receive, send)

    def _find_policy(self, scope: Scope) -> Policy | None:
        if scope["type"] != "http":
            return None
        if scope["method"] == "POST":
            return self._posts
        return self._lists if self._lists and route_of(scope) == LIST_ROUTE else None


@dataclass(frozen=True, slots=True)
class Policy:
    """A limit, and its name in the headers."""

    name: str
    limit: RateLimitItem

    def identify(self, caller: str) -> tuple[str, ...]:
        """Return what is counted, by which no two policies share a count. POSTs have no prefix for earlier versions."""
        return (caller,) if self.name == "default" else (self.name, caller)

    def build_headers(self, window: WindowStats) -> dict[str, str]:
        """Return the headers that tell the limit, and what is left of it."""
        seconds = max(0, math.ceil(window.reset_time - time.time()))
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit.amount};w={self.limit.get_expiry()}',
            "RateLimit": f'"{self.name}";r={window.remaining};t={seconds}',
        }


def create_limiter(redis_url: str) -> SlidingWindowCounterRateLimiter:
    """Return a limiter that counts in Redis. It connects on first use."""
    url = RedisUrl(redis_url)
    timeouts: dict[str, Any] = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
    address = f"async+{url.for_redis_py()}"
    if url.is_sentinel:  # the limits library would send the password to the sentinels too, and read from replicas
        address, timeouts = "async+redis://", {"connection_pool": url.open_async(**timeouts).connection_pool}
    storage = storage_from_string(address, implementation="redispy", wrap_exceptions=True, **timeouts)
    if isinstance(storage, RedisStorage):
        raise_connection_error_when_closed(cast("Any", storage.bridge).storage)
    return SlidingWindowCounterRateLimiter(cast("Storage", storage))


def caller_of(scope: Scope) -> str:
    """Return the caller that is counted: the owner of the API key, or the address without keys.

    With a token, it is the owner and the address: one browser must not use up what others of its owner need.
    """
    permission, address = permission_of(scope), _network_of((scope.get("client") or ("unknown",))[0])
    if permission.owner is None:
        return f"address:{address}"
    if permission.scope is TokenScope.ALL:
        return f"key:{permission.owner}"
    return f"token:{permission.owner}:{address}"


@lru_cache(MAX_CACHED_ADDRESSES)
def _network_of(address: str) -> str:
    """Return an IPv4 address, or the /64 of an IPv6 address: that is what one customer of a provider has at least."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return address
    if found.ipv4_mapped is not None:  # from a socket that listens to both
        return str(found.ipv4_mapped)
    return str(ip_network((int(found), IPV6_NETWORK_BITS), strict=False))


def _add_headers(send: Send, headers: dict[str, str]) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return send_with_headers

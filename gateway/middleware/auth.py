"""API keys. Only their SHA-256 is configured. Without keys, every route is open and jobs have no owner."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import problems
from gateway.permission import Permission
from gateway.routes import docs, js_client

OPEN_PATHS = frozenset({"/livez", "/readyz", "/metrics"}) | docs.PATHS | js_client.PATHS


class ApiKeys:
    """ASGI middleware that sets `request.state.owner` from the API key, or answers 401."""

    def __init__(self, app: ASGIApp, *, keys: Mapping[str, str]) -> None:
        """Take the SHA-256 (hex) of each key, by owner."""
        self._app = app
        self._keys = dict(keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its owner, or answer 401 if the route needs a key."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        owner = self._owner(Headers(scope=scope))
        if self._keys and owner is None and scope["path"] not in OPEN_PATHS:
            answer = problems.build_response(
                401,
                "unauthorized",
                "The API key is missing or wrong. Send a valid one: Authorization: Bearer KEY, or X-API-Key: KEY.",
                headers={"WWW-Authenticate": "Bearer"},
            )
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {}).update(owner=owner, permission=Permission(owner=owner))
        await self._app(scope, receive, send)

    def _owner(self, headers: Headers) -> str | None:
        """Return the owner of the key. Every key is compared, in constant time, even after a match."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        digest = sha256(key.encode()).hexdigest()
        matches = [owner for owner, key_digest in self._keys.items() if compare_digest(key_digest, digest)]
        return matches[0] if matches else None

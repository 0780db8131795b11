"""The ways to send a key, for the OpenAPI document. The middleware Authorization checks them."""

from __future__ import annotations

from typing import Any

from gateway.middleware.authorization import OPEN_PATHS

SCHEMES: dict[str, dict[str, Any]] = {
    "BearerKey": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`, with an API key."},
    "HeaderKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The API key alone."},
}
"""A client sends one of them, on every route that needs a key.

A scheme of a few routes stands here too if it is in SPECIAL; those routes name it in
`openapi_extra={"security": [{NAME: []}]}`.
"""
SPECIAL: frozenset[str] = frozenset()


def security_of(path: str, own: list[dict[str, Any]], *, has_keys: bool) -> list[dict[str, Any]]:
    """Return the alternatives of a route, of which `{}` is none at all: where no keys are set, or none is needed."""
    if path in OPEN_PATHS:
        return []
    anyone: list[dict[str, Any]] = [] if has_keys else [{}]
    return [*anyone, *({name: []} for name in SCHEMES if name not in SPECIAL), *own]

"""The ways to send a key or a token, for the OpenAPI document. The middleware Authorization checks them."""

from __future__ import annotations

from typing import Any

from gateway.middleware.authorization import BASIC_PATHS, OPEN_PATHS
from gateway.permission import Scope
from gateway.token_routes import allows_route

SCHEMES: dict[str, dict[str, Any]] = {
    "BearerKey": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`, with an API key."},
    "HeaderKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The API key alone."},
    "BasicKey": {"type": "http", "scheme": "basic", "description": "The API key as the password; the name is ignored."},
    "BearerToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "`Authorization: Bearer TOKEN`, with an upload token or a view token.",
    },
    "QueryToken": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "A view token, in the address of an image. Never send an API key this way.",
    },
    "QuerySignature": {
        "type": "apiKey",
        "in": "query",
        "name": "sig",
        "description": "The signature of a link to an image: HMAC-SHA256 over its path and its other parameters, in "
        "base64url without padding.",
    },
}
"""A client sends one of them. Keys are for every route that is not open."""
SCOPES = {"BearerToken": Scope.UPLOAD, "QueryToken": Scope.READ, "QuerySignature": Scope.LINK}
"""Schemes of tokens and links, each with the scope whose routes take it."""


def security_of(path: str, method: str, *, has_keys: bool) -> list[dict[str, Any]]:
    """Return the alternatives of a route, of which `{}` is none at all: where no keys are set, or none is needed."""
    if path in OPEN_PATHS:
        return []
    names = [name for name in SCHEMES if name not in SCOPES or allows_route(SCOPES[name], method, path)]
    if path not in BASIC_PATHS:
        names.remove("BasicKey")
    anyone: list[dict[str, Any]] = [] if has_keys else [{}]
    return [*anyone, *({name: []} for name in names)]

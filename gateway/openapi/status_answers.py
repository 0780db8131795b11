"""The answers of a route that shows how far something has come, with conditional requests."""

from __future__ import annotations

from typing import Any

from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers, request_headers

HEADERS = ("ETag", "Retry-After", "Cache-Control")


def describe_status(noun: str) -> dict[str, Any]:
    """Return the options of such a route: `responses` and `openapi_extra`."""
    responses = {
        200: {"headers": answer_headers(*HEADERS)},
        304: {"description": f"The {noun} has not changed since `If-None-Match`", "headers": answer_headers(*HEADERS)},
        **errors(404, 412),
    }
    return {"responses": responses, "openapi_extra": {"parameters": request_headers("If-Match", "If-None-Match")}}

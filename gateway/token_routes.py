"""The routes that tokens and signed links may use. All others need an API key."""

from __future__ import annotations

from gateway.image_links import ROUTE as IMAGE
from gateway.permission import Scope

_JOB = (
    "/task-status/{task_id}",
    "/task-status/{task_id}/events",
    "/result/{task_id}",
    "/result/{task_id}/{rendition}",
    IMAGE,
)
_PRESET = ("/{preset}", "/{preset}/example.svg")
_READS = frozenset((method, route) for method in ("GET", "HEAD") for route in _JOB)
ROUTES: dict[Scope, frozenset[tuple[str, str]]] = {
    Scope.READ: _READS,
    Scope.LINK: frozenset({("GET", IMAGE), ("HEAD", IMAGE)}),
    Scope.UPLOAD: _READS
    | {
        ("GET", "/capabilities"),
        ("HEAD", "/capabilities"),
        *((method, f"/presets{rest}") for method in ("GET", "HEAD") for rest in ("", *_PRESET)),
        ("POST", "/upload"),
        ("POST", "/crop"),
        ("POST", "/grayscale"),
        ("POST", "/resize"),
        ("POST", "/process"),
        ("POST", "/files"),
        ("HEAD", "/files/{task_id}"),
        ("PATCH", "/files/{task_id}"),
        ("DELETE", "/files/{task_id}"),
    },
}
"""The method and the path template of each route, by the scope of the token or link."""


def allows_route(scope: Scope, method: str, route: str) -> bool:
    """Whether a token of this scope may use a route."""
    return (method, route) in ROUTES.get(scope, frozenset())

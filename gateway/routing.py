"""The routes of a path: routers whose GET routes answer HEAD, and what a path allows before it is routed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import Match
from starlette.types import Scope

UNMATCHED = "unmatched"


class Router(APIRouter):
    """A router whose GET routes also answer HEAD, through the router `head_routes`. Servers send no body then.

    Each route that is looked at costs time, so the application includes `head_routes` after all other routes.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.head_routes = APIRouter(include_in_schema=False)
        self._first_parts: set[str] = set()

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether a route matches. Of most routers, the first part of the path says that none does."""
        path, root_path = scope["path"], scope.get("root_path", "")
        if root_path and path.startswith(f"{root_path}/"):
            path = path[len(root_path) :]
        return super().matches(scope) if _first_part(path) in self._first_parts else (Match.NONE, {})

    def add_api_route(self, path: str, endpoint: Any, **options: Any) -> None:
        """Add a route, and one for HEAD if it is for GET."""
        super().add_api_route(path, endpoint, **options)
        first_part = _first_part(path)
        if "{" in first_part:
            raise ValueError(f"the path {path} begins with a parameter")
        self._first_parts.add(first_part)
        if options.get("methods") == ["GET"]:
            self.head_routes.add_api_route(path, endpoint, **{**options, "methods": ["HEAD"]})


def _first_part(path: str) -> str:
    return path[1:].partition("/")[0]


def route_of(scope: Scope) -> str:
    """Return the route template of a request, also when a middleware answered before routing."""
    route = scope.get("route") or next(_matching_routes(scope), None)
    return getattr(route, "path", UNMATCHED)


def allowed_methods(scope: Scope) -> str:
    """Return the methods of the request's path, as in `Allow`; empty if no route has this path."""
    methods = {method for route in _matching_routes(scope) for method in route.methods or ()}
    return ", ".join(sorted(methods | {"OPTIONS"})) if methods else ""


def _matching_routes(scope: Scope) -> Iterator[RouteContext]:
    routes = iter_route_contexts(scope["app"].routes) if "app" in scope else []
    return (route for route in routes if route.matches(scope)[0] is not Match.NONE)

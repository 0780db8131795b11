"""OPTIONS: which methods a path has, told without an API key."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.routing import allowed_methods, route_of


class Options:
    """ASGI middleware that answers OPTIONS on the path of any route (RFC 9110, section 9.3.7)."""

    def __init__(self, app: ASGIApp, *, headers: Mapping[str, Mapping[str, str]]) -> None:
        """`headers` has further headers of the answer, by route."""
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer OPTIONS with 204 and `Allow`; pass on other methods and unknown paths."""
        is_options = scope["type"] == "http" and scope["method"] == "OPTIONS"
        if is_options and (methods := allowed_methods(scope)):
            headers = {"Allow": methods, **self._headers.get(route_of(scope), {})}
            await Response(status_code=204, headers=headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

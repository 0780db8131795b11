"""The root path: the prefix below which clients reach the gateway, such as `/api`; links in answers begin with it."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.middleware.trusted_proxies import is_proxied
from pipeline.http_settings import ROOT_PATH_PATTERN

HEADER = "X-Forwarded-Prefix"

_ROOT_PATH = re.compile(ROOT_PATH_PATTERN)


class RootPath:
    """ASGI middleware that sets `root_path` from `X-Forwarded-Prefix` of a trusted proxy, or else from the settings.

    The proxy has removed the prefix from the request's path. The router wants it there (ASGI, HTTP connection scope).
    All other middleware compares the gateway's own paths, so this one runs after it.
    """

    def __init__(self, app: ASGIApp, *, default: str) -> None:
        self._app = app
        self._default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its root path."""
        if scope["type"] == "http" and (root_path := self._find_root_path(scope)):
            # In the same dictionary, in which AccessLog finds the route that the router adds.
            scope["root_path"], scope["path"] = root_path, root_path + scope["path"]
        await self._app(scope, receive, send)

    def _find_root_path(self, scope: Scope) -> str:
        prefix = Headers(scope=scope).get(HEADER) if is_proxied(scope) else None
        return self._default if prefix is None or not _ROOT_PATH.fullmatch(prefix) else prefix


def root_path_of(scope: Scope) -> str:
    """Return the root path of a request: empty, or such as `/api`."""
    root_path: str = scope.get("root_path", "")
    return root_path

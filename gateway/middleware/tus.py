"""What the tus protocol says of every request for a resumable upload, whatever its route."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.resumable.protocol import VERSION

PATH = "/files"
METHODS = frozenset({"POST", "HEAD", "PATCH", "DELETE"})
"""Methods of the protocol that have a version. The router refuses others."""
METHOD_HEADER = "X-HTTP-Method-Override"
OVERRIDES = frozenset({"PATCH", "DELETE"})
"""Methods that some clients cannot send: they send POST with the method in METHOD_HEADER."""


class Tus:
    """ASGI middleware that puts the protocol's version into answers, except to OPTIONS, and heeds METHOD_HEADER.

    Many clients write a slash behind PATH. A redirect would not do: browsers refuse those of preflights.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request by the protocol's rules if it is for a resumable upload."""
        if scope["type"] == "http" and scope["path"] == f"{PATH}/":
            scope["path"] = PATH
        is_concerned = scope["type"] == "http" and scope["method"] in METHODS and _is_file_path(scope["path"])
        if not is_concerned:
            await self._app(scope, receive, send)
            return
        method = Headers(scope=scope).get(METHOD_HEADER, "").upper()
        if scope["method"] == "POST" and method in OVERRIDES:
            scope["method"] = method
        await self._app(scope, receive, _add_version(send))


def _is_file_path(path: str) -> bool:
    return path == PATH or path.startswith(f"{PATH}/")


def _add_version(send: Send) -> Send:
    async def send_with_version(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Tus-Resumable"] = VERSION
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_with_version

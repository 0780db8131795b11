"""What the tus protocol says of every request for a resumable upload, whatever its route."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from gateway.resumable.protocol import VERSION

PATH = "/files"
METHODS = frozenset({"POST", "HEAD", "PATCH", "DELETE"})
"""Methods of the protocol that have a version. The router refuses others."""
METHOD_HEADER = "X-HTTP-Method-Override"
OVERRIDES = frozenset({"PATCH", "DELETE"})
"""Methods that some clients cannot send: they send POST with the method in METHOD_HEADER."""


class Tus:
    """ASGI middleware that answers 412 for another version, puts the version into answers, and heeds METHOD_HEADER."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request by the protocol's rules if it is for a resumable upload."""
        is_concerned = scope["type"] == "http" and scope["method"] in METHODS and _is_file_path(scope["path"])
        if not is_concerned:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] == "POST" and (method := headers.get(METHOD_HEADER, "").upper()) in OVERRIDES:
            scope["method"] = method
        app = self._app if headers.get("tus-resumable") == VERSION else _refuse_version()
        await app(scope, receive, _add_version(send))


def _is_file_path(path: str) -> bool:
    return path == PATH or path.startswith(f"{PATH}/")


def _refuse_version() -> ASGIApp:
    detail = f"Tus-Resumable is missing, or is another version. Send Tus-Resumable: {VERSION}."
    return problems.build_response(412, "tus_version_unsupported", detail, headers={"Tus-Version": VERSION})


def _add_version(send: Send) -> Send:
    async def send_with_version(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Tus-Resumable"] = VERSION
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_with_version

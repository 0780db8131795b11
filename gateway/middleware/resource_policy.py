"""Cross-Origin-Resource-Policy: no page of another origin embeds an answer, unless its route allows it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "Cross-Origin-Resource-Policy"


class ResourcePolicy:
    """ASGI middleware that adds `same-origin` to answers without a policy of their own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request and add the header."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault(HEADER, "same-origin")
            await send(message)

        await self._app(scope, receive, send_with_policy)

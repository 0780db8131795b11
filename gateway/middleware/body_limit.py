"""ASGI byte counter: stops reading a body at the limit, whether or not it was announced."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from gateway.sizes import format_size


class BodyLimit:
    """Middleware that raises `BodyTooLarge` into the route, or answers at once when `Content-Length` tells."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._declared_bytes(scope) > self._limit:
            answer = problems.build_response(413, problems.BodyTooLarge.code, self._detail)
            await answer(scope, receive, send)
            return
        await self._app(scope, self._wrap_receive(receive), send)

    def _wrap_receive(self, receive: Receive) -> Receive:
        seen = 0

        async def count_and_receive() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise problems.BodyTooLarge(self._detail)
            return message

        return count_and_receive

    @property
    def _detail(self) -> str:
        return f"The body is larger than {format_size(self._limit)}. Send a smaller file."

    @staticmethod
    def _declared_bytes(scope: Scope) -> int:
        value = dict(scope["headers"]).get(b"content-length", b"0")
        return int(value) if value.isdigit() else 0

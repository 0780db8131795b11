"""Body limit: stops reading a body at the limit, with or without a Content-Length."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from gateway.permission import permission_of
from gateway.sizes import FORM_OVERHEAD_BYTES, format_size
from gateway.whole_numbers import parse_whole_number

SMALL_BODIES = {"/tokens": FORM_OVERHEAD_BYTES, "/ingest/s3": 2**20}
"""Paths of routes whose bodies are JSON, which is read into the memory, and how large these may be."""


class BodyLimit:
    """ASGI middleware that answers 413 if `Content-Length` is over the limit, else counts the bytes that are read.

    Over the limit, it raises `BodyTooLarge` where the route reads. An upload token may have a smaller limit.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on with its bytes counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope)
        if self._declared_bytes(scope) > limit:
            answer = problems.build_response(413, problems.BodyTooLarge.code, _describe(limit))
            await answer(scope, receive, send)
            return
        await self._app(scope, self._wrap_receive(receive, limit), send)

    def _limit_of(self, scope: Scope) -> int:
        if (limit := SMALL_BODIES.get(scope["path"])) is not None:
            return limit
        max_bytes = permission_of(scope).max_bytes
        return self._limit if max_bytes is None else min(self._limit, max_bytes + FORM_OVERHEAD_BYTES)

    @staticmethod
    def _wrap_receive(receive: Receive, limit: int) -> Receive:
        received_bytes = 0

        async def count_and_receive() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > limit:
                raise problems.BodyTooLarge(_describe(limit))
            return message

        return count_and_receive

    @staticmethod
    def _declared_bytes(scope: Scope) -> int:
        return parse_whole_number(Headers(scope=scope).get("content-length", "0")) or 0


def _describe(limit: int) -> str:
    return f"The body is larger than {format_size(limit)}. Send a smaller file."

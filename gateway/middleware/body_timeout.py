"""Body timeout: a client that stops sending, or sends too slowly, does not hold its request for ever."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problems import BodyTooSlow


class BodyTimeout:
    """ASGI middleware that bounds the time to the next piece of a body, and to its end.

    It raises the problem where the route reads. After the body, it waits as long as the route does.
    """

    def __init__(self, app: ASGIApp, *, idle_seconds: float, total_seconds: float) -> None:
        self._app = app
        self._idle_seconds = idle_seconds
        self._total_seconds = total_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request with its time bounded."""
        await self._app(scope, self._wrap_receive(receive) if scope["type"] == "http" else receive, send)

    def _wrap_receive(self, receive: Receive) -> Receive:
        clock = asyncio.get_running_loop().time
        deadline, is_complete = clock() + self._total_seconds, False

        async def receive_in_time() -> Message:
            nonlocal is_complete
            if is_complete:
                return await receive()
            try:
                async with asyncio.timeout_at(min(deadline, clock() + self._idle_seconds)):
                    message = await receive()
            except TimeoutError:
                raise BodyTooSlow(self._describe(is_idle=clock() < deadline)) from None
            is_complete = not message.get("more_body", False)
            return message

        return receive_in_time

    def _describe(self, *, is_idle: bool) -> str:
        if is_idle:
            return f"Nothing of the body arrived for {self._idle_seconds:g} s. Send the request again."
        return f"The body took longer than {self._total_seconds:g} s. Send the request again, over a faster line."

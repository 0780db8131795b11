"""Body timeout: a client that stops sending, or sends too slowly, does not hold its request for ever."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problems import BodyTooSlow


class BodyTimeout:
    """ASGI middleware that bounds the time to the next piece of a body and to its end, and how slowly it may come.

    It raises the problem where the route reads. After the body, it waits as long as the route does.
    """

    def __init__(self, app: ASGIApp, *, idle_seconds: float, total_seconds: float, min_rate: int) -> None:
        """`min_rate` is in bytes a second; the first two `idle_seconds` do not count."""
        self._app = app
        self._min_rate = min_rate
        self._idle_seconds = idle_seconds
        self._total_seconds = total_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request with its time bounded."""
        await self._app(scope, self._wrap_receive(receive) if scope["type"] == "http" else receive, send)

    def _wrap_receive(self, receive: Receive) -> Receive:
        clock = asyncio.get_running_loop().time
        start, received_bytes, is_complete = clock(), 0, False

        async def receive_in_time() -> Message:
            nonlocal received_bytes, is_complete
            if is_complete:
                return await receive()
            if clock() >= start + self._total_seconds:  # a piece that has arrived already is received without a wait
                raise BodyTooSlow(self._describe(is_idle=False))
            deadline, idle_at = self._deadline(start, received_bytes), clock() + self._idle_seconds
            try:
                async with asyncio.timeout_at(min(deadline, idle_at)):
                    message = await receive()
            except TimeoutError:
                raise BodyTooSlow(self._describe(is_idle=idle_at < deadline)) from None
            received_bytes += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            return message

        return receive_in_time

    def _deadline(self, start: float, received_bytes: int) -> float:
        """Return when the body must have ended, or more of it must have come."""
        return start + min(self._total_seconds, 2 * self._idle_seconds + received_bytes / self._min_rate)

    def _describe(self, *, is_idle: bool) -> str:
        if is_idle:
            return f"Nothing of the body arrived for {self._idle_seconds:g} s. Send the request again."
        return (
            f"The body took longer than {self._total_seconds:g} s, or came slower than {self._min_rate} bytes a "
            "second. Send the request again, over a faster line."
        )

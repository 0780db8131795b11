"""What is left of a body after its answer: dropped up to a bound, behind an answer that is out already."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.middleware.body_drain import BodyDrain

ANNOUNCED = [(b"content-length", b"100")]


class Server:
    """The server's side of one request: pieces of a body to be received, and what was sent after how many of them."""

    def __init__(self, pieces: Iterable[bytes], *, is_endless: bool = False) -> None:
        self.received = 0
        self.sent: list[tuple[int, Message]] = []
        self._pieces = iter(pieces)
        self._is_endless = is_endless

    async def receive(self) -> Message:
        piece = next(self._pieces, None)
        if piece is None and self._is_endless:
            await asyncio.Event().wait()
        self.received += 1
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(self, message: Message) -> None:
        self.sent.append((self.received, message))

    async def serve(self, app: ASGIApp, headers: Any = ANNOUNCED, **bounds: float) -> None:
        scope = {"type": "http", "method": "POST", "headers": headers}
        await BodyDrain(app, **bounds)(scope, self.receive, self.send)  # type: ignore[arg-type]  # bytes are whole

    @property
    def head(self) -> dict[bytes, bytes]:
        return dict(self.sent[0][1]["headers"])

    @property
    def is_complete(self) -> bool:
        """Whether the answer's end was sent, once."""
        return [message.get("more_body", False) for _, message in self.sent[1:]].count(False) == 1


refuse = PlainTextResponse("no", 401)


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["more_body"]:
        pass
    await refuse(scope, receive, send)


async def test_an_early_answer_is_sent_before_any_of_the_body_is_read() -> None:
    server = Server([b"x"] * 5)

    await server.serve(refuse)

    assert [(read, message.get("body")) for read, message in server.sent[:2]] == [(0, None), (0, b"no")]


async def test_the_rest_of_the_body_is_read_before_the_answer_is_called_complete() -> None:
    server = Server([b"x"] * 5)

    await server.serve(refuse)

    assert (server.received, server.is_complete) == (6, True)
    assert server.sent[-1] == (6, {"type": "http.response.body", "body": b"", "more_body": False})


async def test_a_client_that_is_answered_early_is_told_to_stop() -> None:
    server = Server([b"x"])

    await server.serve(refuse)

    assert server.head[b"connection"] == b"close"


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"0")]])
async def test_a_request_without_a_body_is_not_waited_for(headers: list[tuple[bytes, bytes]]) -> None:
    server = Server([])

    await server.serve(refuse, headers)

    assert (server.received, server.is_complete) == (0, True)
    assert b"connection" not in server.head


async def test_an_answer_to_a_whole_body_keeps_its_connection() -> None:
    server = Server([b"x"] * 3)

    await server.serve(read_all, [(b"transfer-encoding", b"chunked")])

    assert (server.received, server.is_complete) == (4, True)
    assert b"connection" not in server.head


async def test_a_body_is_drained_up_to_a_bound_of_bytes() -> None:
    server = Server([b"x" * 10] * 100)

    await server.serve(refuse, max_bytes=45)

    assert (server.received, server.is_complete) == (5, True)


@pytest.mark.parametrize("bound", ["max_seconds", "idle_seconds"])
async def test_a_client_that_sends_nothing_more_is_left(bound: str) -> None:
    server = Server([b"x"], is_endless=True)

    await server.serve(refuse, **{bound: 0.01})

    assert (server.received, server.is_complete) == (1, True)


async def test_a_client_that_is_gone_is_not_waited_for() -> None:
    server = Server([])

    async def receive() -> Message:
        server.received += 1
        return {"type": "http.disconnect"}

    await BodyDrain(refuse)({"type": "http", "method": "POST", "headers": ANNOUNCED}, receive, server.send)

    assert (server.received, server.is_complete) == (1, True)


async def test_a_body_is_drained_before_an_error_goes_on() -> None:
    server = Server([b"x"] * 5)

    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await server.serve(broken)

    assert server.received == 6

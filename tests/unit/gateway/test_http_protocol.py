"""The HTTP server over a real socket: what the application receives of a body whose client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.server.http_protocol import HttpProtocol


class Recorder:
    """An application that reads its request only once the client has gone."""

    def __init__(self) -> None:
        self.is_gone = asyncio.Event()
        self.messages: asyncio.Queue[Message] = asyncio.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI
        await self.is_gone.wait()
        while (message := await receive())["type"] != "http.disconnect":
            self.messages.put_nowait(message)
        self.messages.put_nowait(message)


@pytest.fixture
async def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def port(recorder: Recorder) -> AsyncIterator[int]:
    config = Config(recorder, lifespan="off", log_config=None)
    config.load()

    class Observed(HttpProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            recorder.is_gone.set()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Observed(config, ServerState(), {}), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(("length", "more_body"), [(5, False), (6, True)])
async def test_what_came_before_a_client_has_gone_is_received(
    recorder: Recorder, port: int, length: int, *, more_body: bool
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nbytes".encode())
    writer.close()
    await writer.wait_closed()

    received = [await asyncio.wait_for(recorder.messages.get(), 10) for _ in range(2)]

    assert received == [
        {"type": "http.request", "body": b"bytes", "more_body": more_body},
        {"type": "http.disconnect"},
    ]

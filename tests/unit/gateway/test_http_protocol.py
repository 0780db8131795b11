"""The HTTP server over a real socket: what the application receives of a body, also of one whose client has gone."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.server.body_pieces import PIECE_BYTES, BodyPieces
from gateway.server.bounded_flow import BoundedFlow
from gateway.server.http_protocol import HttpProtocol, Limits

BODY_BYTES = 3_000_000
MAX_READ_BYTES = 256 * 1024  # of asyncio and uvloop, in one go


class Recorder:
    """An application that reads its request once it may, and at the latest when the client has gone."""

    def __init__(self) -> None:
        self.may_read = asyncio.Event()
        self.messages: asyncio.Queue[Message] = asyncio.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI
        await self.may_read.wait()
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
            recorder.may_read.set()

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


async def test_bytes_are_received_though_the_rest_of_the_body_does_not_come(recorder: Recorder, port: int) -> None:
    recorder.may_read.set()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nbytes")

    received = await asyncio.wait_for(recorder.messages.get(), 10)
    writer.close()
    await writer.wait_closed()

    assert received == {"type": "http.request", "body": b"bytes", "more_body": True}


@pytest.mark.parametrize(
    ("framing", "encode"),
    [
        pytest.param(b"Content-Length: %d" % BODY_BYTES, lambda data: data, id="length"),
        pytest.param(b"Transfer-Encoding: chunked", lambda data: b"%x\r\n%s\r\n" % (len(data), data), id="chunked"),
    ],
)
async def test_a_body_and_the_next_request_are_received_whole(
    recorder: Recorder, port: int, framing: bytes, encode: Callable[[bytes], bytes]
) -> None:
    recorder.may_read.set()
    body, chunk_bytes = os.urandom(BODY_BYTES), 10_001
    chunks = [encode(body[i : i + chunk_bytes]) for i in range(0, len(body), chunk_bytes)]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    end = b"0\r\n\r\n" if b"chunked" in framing else b""
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n%s%sGET / HT" % (framing, b"".join(chunks), end))

    received: list[Message] = []
    while not received or received[-1]["more_body"]:
        received.append(await asyncio.wait_for(recorder.messages.get(), 10))
    writer.close()
    await writer.wait_closed()

    assert b"".join(message["body"] for message in received) == body
    assert max(len(message["body"]) for message in received) <= PIECE_BYTES + MAX_READ_BYTES


async def test_a_body_that_nobody_has_received_is_dropped_with_the_answer() -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  # ASGI
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    class Observed(HttpProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            is_lost.set()

    config, is_lost = Config(answer, lifespan="off", log_config=None), asyncio.Event()
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Observed(config, ServerState(), {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n" + bytes(9000))
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)

        gc.collect()
        waiting = [each for each in gc.get_objects() if type(each) is BodyPieces and each]

        writer.close()
        await writer.wait_closed()
        await asyncio.wait_for(is_lost.wait(), 10)
    assert waiting == []


async def test_a_client_that_never_reads_its_answer_is_cut_off() -> None:
    async def answer_for_ever(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  # ASGI
        await send({"type": "http.response.start", "status": 200})
        while not is_lost.is_set():
            await send({"type": "http.response.body", "body": bytes(MAX_READ_BYTES), "more_body": True})

    class Observed(HttpProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            is_lost.set()

    config, is_lost = Config(answer_for_ever, lifespan="off", log_config=None), asyncio.Event()
    config.load()
    loop, limits = asyncio.get_running_loop(), Limits(send_seconds=0.05)
    server = await loop.create_server(lambda: Observed(config, ServerState(), {}, limits=limits), "127.0.0.1", 0)
    async with server:
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.wait_for(is_lost.wait(), 10)


class Readable(asyncio.Transport):
    """A transport that notes whether it reads."""

    is_reading_paused = False

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False


def test_an_answer_does_not_let_more_requests_in_while_many_wait() -> None:
    transport, waiting = Readable(), bytearray(11)
    flow = BoundedFlow(transport, waiting, 10)
    flow.pause_reading()

    flow.resume_reading()
    is_paused_before = transport.is_reading_paused
    del waiting[:1]
    flow.resume_reading()

    assert (is_paused_before, transport.is_reading_paused) == (True, False)

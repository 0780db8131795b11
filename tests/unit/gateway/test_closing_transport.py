"""The end of a connection whose client is still sending: what comes is dropped, up to a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.server.closing_transport import (
    IDLE_SECONDS,
    LINGER_BYTES,
    LINGER_SECONDS,
    STOP_SECONDS,
    ClosingTransport,
)


class RecordingLoop:
    """An event loop that notes after how long something is to be called."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        self.delays.append(delay)
        return asyncio.get_running_loop().call_later(delay, callback)


class RecordingTransport(asyncio.Transport):
    """A transport that notes what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.calls.append("write_eof")

    def resume_reading(self) -> None:
        self.calls.append("resume_reading")

    def pause_reading(self) -> None:
        self.calls.append("pause_reading")

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls


def closing() -> tuple[ClosingTransport, RecordingTransport]:
    transport = RecordingTransport()
    return ClosingTransport(transport, asyncio.get_running_loop()), transport


async def test_a_connection_with_nothing_left_to_read_is_closed_at_once() -> None:
    closed, transport = closing()

    closed.close()

    assert transport.calls == ["close"]


async def test_a_client_that_still_sends_sees_the_end_of_the_answer_first() -> None:
    lingering, transport = closing()
    lingering.linger_on_close()

    lingering.close()
    lingering.drop(LINGER_BYTES)

    assert (transport.calls, lingering.is_closing()) == (["write_eof", "resume_reading"], True)
    lingering.stop()


async def test_a_client_that_sends_without_end_is_read_no_more_and_can_still_read() -> None:
    lingering, transport = closing()
    lingering.linger_on_close()

    lingering.close()
    lingering.drop(LINGER_BYTES)
    lingering.drop(1)

    assert transport.calls[-1] == "pause_reading"
    lingering.stop()


async def test_a_server_that_is_to_stop_does_not_wait_as_long() -> None:
    loop: Any = RecordingLoop()
    lingering = ClosingTransport(RecordingTransport(), loop)
    lingering.linger_on_close()
    lingering.close()

    lingering.shorten()

    assert loop.delays == [LINGER_SECONDS, IDLE_SECONDS, STOP_SECONDS]
    assert lingering.is_lingering
    lingering.stop()

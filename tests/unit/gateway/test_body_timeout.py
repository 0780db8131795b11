"""The time that a body may take: to its next piece, and to its end."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.middleware.body_timeout import BodyTimeout
from gateway.problems import BodyTooSlow

SHORT, LONG = 0.01, 60.0
UNHURRIED = 0.3  # long beside a drop, also on a busy machine


async def _send(_: Message) -> None:
    return None


async def receive_body(receive: Receive, *, idle_seconds: float, total_seconds: float, min_rate: int = 1) -> int:
    """Receive a body through the middleware, and return the number of its messages."""
    received = 0

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        nonlocal received
        more_body = True
        while more_body:
            more_body = (await receive()).get("more_body", False)
            received += 1

    await BodyTimeout(app, idle_seconds=idle_seconds, total_seconds=total_seconds, min_rate=min_rate)(
        {"type": "http"}, receive, _send
    )
    return received


async def _never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def _endless() -> Message:
    await asyncio.sleep(0)
    return {"type": "http.request", "body": b"x", "more_body": True}


async def _drip() -> Message:
    await asyncio.sleep(SHORT / 10)
    return {"type": "http.request", "body": b"x", "more_body": True}


async def test_a_client_that_stops_sending_is_refused() -> None:
    with pytest.raises(BodyTooSlow, match=r"Nothing of the body arrived for 0\.01 s"):
        await receive_body(_never, idle_seconds=SHORT, total_seconds=LONG)


async def test_a_client_that_never_ends_is_refused() -> None:
    with pytest.raises(BodyTooSlow, match=r"took longer than 0\.01 s"):
        await receive_body(_endless, idle_seconds=LONG, total_seconds=SHORT)


async def test_a_body_that_never_ends_is_refused_though_it_never_has_to_be_waited_for() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(BodyTooSlow, match=r"took longer than 0\.01 s"):
        await receive_body(receive, idle_seconds=LONG, total_seconds=SHORT)


async def test_a_client_that_sends_drop_by_drop_is_refused() -> None:
    with pytest.raises(BodyTooSlow, match="slower than 1000000 bytes a second"):
        await receive_body(_drip, idle_seconds=UNHURRIED, total_seconds=LONG, min_rate=1_000_000)


async def test_a_body_that_comes_in_time_is_received() -> None:
    messages = iter([True, True, False])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x", "more_body": next(messages)}

    assert await receive_body(receive, idle_seconds=LONG, total_seconds=LONG) == 3


async def test_after_the_body_a_route_waits_as_long_as_it_likes() -> None:
    async def receive() -> Message:
        if receives:
            await asyncio.sleep(5 * SHORT)
            return {"type": "http.disconnect"}
        receives.append(1)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        types.extend([(await receive())["type"], (await receive())["type"]])

    receives: list[int] = []
    types: list[str] = []
    await BodyTimeout(app, idle_seconds=SHORT, total_seconds=SHORT, min_rate=1)({"type": "http"}, receive, _send)

    assert types == ["http.request", "http.disconnect"]

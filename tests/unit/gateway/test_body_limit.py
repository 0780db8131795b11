"""The limit of a body: told in advance or found out on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.middleware.body_limit import BodyLimit
from gateway.problems import BodyTooLarge

LIMIT = 100


class Drain:
    """An application that reads its whole body, and what the server saw of it."""

    def __init__(self) -> None:
        self.read = 0
        self.sent: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        more = True
        while more:
            message = await receive()
            self.read += len(message.get("body", b""))
            more = message.get("more_body", False)

    async def asked(self, *chunks: bytes, length: str | None = None, kind: str = "http") -> None:
        """Ask it, through the limit, with a body in chunks and an announced length."""
        pending = list(chunks)

        async def receive() -> Message:
            return {"type": "http.request", "body": pending.pop(0), "more_body": bool(pending)}

        async def send(message: Message) -> None:
            self.sent.append(message)

        headers = [] if length is None else [(b"content-length", length.encode())]
        scope: dict[str, Any] = {"type": kind, "path": "/upload", "headers": headers}
        await BodyLimit(self, limit=LIMIT)(scope, receive, send)

    @property
    def problem(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.sent[1]["body"])
        return body


@pytest.fixture
def drain() -> Drain:
    return Drain()


async def test_a_body_of_the_limit_is_read(drain: Drain) -> None:
    await drain.asked(b"x" * LIMIT, length=str(LIMIT))

    assert drain.read == LIMIT


async def test_a_body_announced_over_the_limit_is_not_read(drain: Drain) -> None:
    await drain.asked(b"x" * (LIMIT + 1), length=str(LIMIT + 1))

    assert drain.read == 0


async def test_a_body_announced_over_the_limit_is_answered_at_once(drain: Drain) -> None:
    await drain.asked(b"", length=str(LIMIT + 1))

    assert (drain.sent[0]["status"], drain.problem["code"]) == (413, "upload_too_large")


async def test_a_body_in_chunks_within_the_limit_is_read(drain: Drain) -> None:
    await drain.asked(b"x" * 60, b"x" * 40)

    assert drain.read == LIMIT


async def test_a_body_in_chunks_over_the_limit_is_refused(drain: Drain) -> None:
    with pytest.raises(BodyTooLarge):
        await drain.asked(b"x" * 60, b"x" * 41)


async def test_a_body_in_chunks_over_the_limit_is_read_no_further(drain: Drain) -> None:
    with pytest.raises(BodyTooLarge):
        await drain.asked(*[b"x" * 60] * 10)

    assert drain.read == 60


async def test_a_body_larger_than_announced_is_refused(drain: Drain) -> None:
    with pytest.raises(BodyTooLarge):
        await drain.asked(b"x" * 60, b"x" * 60, length="10")


@pytest.mark.parametrize("length", ["", "-1", "many", "1e9"])
async def test_an_announcement_that_is_no_number_is_left_to_the_count(drain: Drain, length: str) -> None:
    await drain.asked(b"x", length=length)

    assert drain.read == 1


async def test_each_request_is_counted_on_its_own(drain: Drain) -> None:
    for _ in range(3):
        await drain.asked(b"x" * 60)

    assert drain.read == 180


async def test_what_is_no_request_is_passed_on(drain: Drain) -> None:
    await drain.asked(b"", length=str(LIMIT + 1), kind="websocket")

    assert drain.sent == []

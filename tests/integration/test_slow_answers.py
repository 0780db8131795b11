"""The clients and an answer that does not end: neither its pieces nor its interim answers keep them for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from typing import Any

import pytest

from gateway.client import AsyncClient, Client, calls
from gateway.client.call import RESULT_SECONDS, Call
from gateway.client.deadline import AnswerTooSlow, Deadline
from tests.integration.hostile_gateway import TASK_ID, HostileAnswer, HostileGateway, run_hostile_gateway

SECONDS = 0.1
ENDLESS_ANSWERS = {
    "bytes": HostileAnswer(body=repeat(b" ")),
    "chunks": HostileAnswer(headers={"Transfer-Encoding": "chunked"}, body=repeat(b"1\r\n \r\n")),
    "interim answers": HostileAnswer(status=100, body=repeat(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "a redirect": HostileAnswer(status=302, headers={"Location": "/x"}, body=repeat(b" ")),
}
CALLS: list[Call[Any]] = [calls.capabilities(), calls.result(TASK_ID)]


@pytest.fixture
def gateway() -> Iterator[HostileGateway]:
    with run_hostile_gateway() as gateway:
        yield gateway


def send(url: str, call: Call[Any]) -> object:
    with Client(url) as client:
        return client.send_call(call)


def send_async(url: str, call: Call[Any]) -> object:
    async def run() -> object:
        async with AsyncClient(url) as client:
            return await client.send_call(call)

    return asyncio.run(run())


@pytest.mark.parametrize("send", [send, send_async])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.path.split("/")[1])
@pytest.mark.parametrize("answer", ENDLESS_ANSWERS)
def test_an_answer_without_end_is_given_up(
    gateway: HostileGateway, answer: str, call: Call[Any], send: Callable[[str, Call[Any]], object]
) -> None:
    gateway.answers = dict.fromkeys(gateway.answers, ENDLESS_ANSWERS[answer])

    with pytest.raises(AnswerTooSlow, match=r"has not ended after 0\.1 s"):
        send(gateway.url, replace(call, answer_seconds=SECONDS))

    assert len(gateway.requests) == 1


def test_the_time_of_an_answer_starts_when_the_request_is_sent() -> None:
    now = [0.0]
    deadline = Deadline(60, clock=lambda: now[0])

    now[0] = 1000.0
    deadline.restart()
    now[0] = 1060.0
    deadline.check()

    now[0] = 1060.5
    with pytest.raises(AnswerTooSlow):
        deadline.check()


def test_a_result_may_take_longer_than_a_document() -> None:
    assert {calls.result(TASK_ID).answer_seconds, calls.save_result(TASK_ID).answer_seconds} == {RESULT_SECONDS}
    assert calls.capabilities().answer_seconds < RESULT_SECONDS

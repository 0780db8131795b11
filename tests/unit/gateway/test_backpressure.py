"""Backpressure: from which length of the queues on no work is taken, and how often that is looked up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic

import httpx
import pytest
from structlog.typing import EventDict

from gateway.submission.backpressure import REFRESH_SECONDS, Backlog
from pipeline.http_settings import AccessSettings
from pipeline.settings import Settings
from tests.support.fakes import FORM_TYPE, FakeQueues

MAX_QUEUE = 3
POSTS = pytest.mark.parametrize("path", ["/upload", "/crop", "/grayscale", "/resize", "/process"])


class CountedQueues(FakeQueues):
    """Queues that count how often they were measured."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    async def read_max_queue_length(self) -> int:
        self.looks += 1
        return await super().read_max_queue_length()


class Body:
    """A body that tells whether it was read."""

    def __init__(self) -> None:
        self.read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.read = True
        yield b"not a form"


@pytest.fixture
def queues() -> CountedQueues:
    return CountedQueues()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"access": AccessSettings(max_queue=MAX_QUEUE)})


async def post(http: httpx.AsyncClient, body: Body, path: str = "/upload") -> httpx.Response:
    return await http.post(path, content=body, headers={"Content-Type": FORM_TYPE})


def fill(queues: FakeQueues, messages: int) -> None:
    for _ in range(messages):
        queues.push("resize", 1)


@POSTS
async def test_over_the_bound_no_work_is_taken(http: httpx.AsyncClient, queues: CountedQueues, path: str) -> None:
    fill(queues, MAX_QUEUE)

    answer = await post(http, Body(), path)

    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")


@POSTS
async def test_over_the_bound_no_body_is_read_before_the_answer(
    http: httpx.AsyncClient, queues: CountedQueues, logs: list[EventDict], path: str
) -> None:
    fill(queues, MAX_QUEUE)

    await post(http, Body(), path)

    [line] = [line for line in logs if line["event"] == "request.served"]  # written as the answer ends
    assert (line["status"], line["bytes_in"]) == (503, 0)


async def test_over_the_bound_a_client_is_told_when_to_come_back(
    http: httpx.AsyncClient, queues: CountedQueues
) -> None:
    fill(queues, MAX_QUEUE)

    assert (await post(http, Body())).headers["retry-after"] == "5"


@POSTS
async def test_below_the_bound_the_body_is_read(http: httpx.AsyncClient, queues: CountedQueues, path: str) -> None:
    body = Body()
    fill(queues, MAX_QUEUE - 1)

    answer = await post(http, body, path)

    assert (answer.json()["code"], body.read) == ("malformed_form", True)


async def test_without_a_broker_the_body_is_read(http: httpx.AsyncClient, queues: CountedQueues) -> None:
    body = Body()
    queues.is_down = True

    answer = await post(http, body)

    assert (answer.json()["code"], body.read) == ("malformed_form", True)


@pytest.mark.parametrize("path", ["/jobs", "/capabilities", "/livez", "/readyz"])
async def test_over_the_bound_everything_else_goes_on(
    http: httpx.AsyncClient, queues: CountedQueues, path: str
) -> None:
    fill(queues, MAX_QUEUE)

    assert (await http.get(path)).status_code == 200


async def test_the_queues_are_not_looked_at_for_every_request(http: httpx.AsyncClient, queues: CountedQueues) -> None:
    start = monotonic()
    for _ in range(5):
        await post(http, Body())

    assert queues.looks <= 1 + (monotonic() - start) / REFRESH_SECONDS


async def test_the_queues_are_looked_at_again_after_a_while(queues: CountedQueues) -> None:
    backlog = Backlog()
    first = await backlog.read_longest(queues)
    fill(queues, MAX_QUEUE)
    backlog._refresh_at = monotonic()  # as when the while is over

    assert (first, await backlog.read_longest(queues)) == (0, MAX_QUEUE)


async def test_the_queues_are_looked_at_twice_a_second_at_most(queues: CountedQueues) -> None:
    backlog = Backlog()

    start = monotonic()
    await backlog.read_longest(queues)

    assert backlog._refresh_at >= start + 0.5


async def test_what_was_seen_last_holds_for_a_while(queues: CountedQueues) -> None:
    backlog = Backlog()
    fill(queues, MAX_QUEUE)
    await backlog.read_longest(queues)
    queues.sent_ms.clear()

    assert await backlog.read_longest(queues) == MAX_QUEUE


async def test_a_broker_that_went_away_is_not_asked_for_every_request(queues: CountedQueues) -> None:
    backlog = Backlog()
    queues.is_down = True

    seen = [await backlog.read_longest(queues) for _ in range(5)]

    assert (seen, queues.looks) == ([0] * 5, 1)


async def test_a_length_seen_before_the_broker_went_away_is_forgotten(queues: CountedQueues) -> None:
    backlog = Backlog()
    fill(queues, MAX_QUEUE)
    await backlog.read_longest(queues)
    queues.is_down, backlog._refresh_at = True, monotonic()

    assert await backlog.read_longest(queues) == 0

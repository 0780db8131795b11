"""The client and streams of events: taken apart in any pieces, opened again, and each event once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client import AsyncClient, Client, Problem, RetryPolicy
from gateway.client.event_stream import EventParser, ServerEvent
from gateway.client.webhook_models import Event
from tests.support.properties import EXAMPLES

TYPE = {"Content-Type": "text/event-stream; charset=utf-8"}
STREAM = (
    ": a comment\r\n\r\n"
    "retry: 500\n\n"
    "id: 7.\n\n"
    'event: job.done\ndata: {"type": "job.done",\ndata: "data": {}}\nid: 8.a\n\n'
    "data:no space\rid: bad id\r\r"
    "event: nothing\n\n"
    "data: ☃\n\n"
    "data: not complete"
)
EVENTS = [
    ServerEvent("8.a", '{"type": "job.done",\n"data": {}}'),
    ServerEvent("8.a", "no space"),
    ServerEvent("8.a", "☃"),
]


def parse(pieces: list[bytes]) -> tuple[list[ServerEvent], EventParser]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)], parser


@EXAMPLES
@given(st.lists(st.integers(0, len(STREAM.encode())), max_size=8).map(sorted))
def test_a_stream_is_the_same_in_whatever_pieces_it_comes(cuts: list[int]) -> None:
    content = STREAM.encode()
    bounds = [0, *cuts, len(content)]

    events, parser = parse([content[start:end] for start, end in pairwise(bounds)])

    assert (events, parser.last_id, parser.retry_seconds) == (EVENTS, "8.a", 0.5)


@pytest.mark.parametrize(("retry", "seconds"), [("0", 0.2), ("999999999999", 60.0), ("-1", 2.0), ("²", 2.0)])
def test_a_server_says_when_to_come_again_within_bounds(retry: str, seconds: float) -> None:
    _, parser = parse([f"retry: {retry}\n\n".encode()])

    assert parser.retry_seconds == seconds


MUCH = b"x" * 1_000_000


@pytest.mark.parametrize("line", [b"data: " + MUCH + b"\n", MUCH, b":" + MUCH + b"\n"])
def test_an_event_without_end_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError, match="larger than 8 MiB"):
        parse([line] * 9)


def sse(*names: str, mark: str = "") -> bytes:
    """Return a stream with an event of each name, which are positions as well."""
    events = [
        f'event: job.done\nid: {index}.{name}\ndata: {{"type": "job.done", "data": {{"task_id": "{name}"}}}}\n\n'
        for index, name in enumerate(names, 1)
    ]
    return "".join(["retry: 200\n\n", *events, f"id: {mark}\n\n" if mark else ""]).encode()


class Gateway:
    """Answers each request with the next of its answers, and remembers the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers, httpx.Response(404, json={"code": "over", "detail": "no more answers"}))
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def positions(self) -> list[str | None]:
        return [request.headers.get("last-event-id") for request in self.requests]


def stream(content: bytes) -> httpx.Response:
    return httpx.Response(200, headers=TYPE, content=content)


POLICY = RetryPolicy(seconds=0.5, base=0.001, cap=0.001)


def read_all(gateway: Gateway, **options: Any) -> tuple[list[Event], Problem | httpx.TransportError | None]:
    """Return the events until there is an error that stays, and that error."""
    events: list[Event] = []
    with Client("http://gateway", retry_policy=POLICY, transport=httpx.MockTransport(gateway)) as client:
        try:
            events.extend(client.events(**options))
        except (Problem, httpx.TransportError) as error:
            return events, error
    return events, None


def read_all_async(gateway: Gateway, **options: Any) -> tuple[list[Event], Problem | httpx.TransportError | None]:
    async def read() -> tuple[list[Event], Problem | httpx.TransportError | None]:
        events: list[Event] = []
        transport = httpx.MockTransport(gateway)
        async with AsyncClient("http://gateway", retry_policy=POLICY, transport=transport) as client:
            try:
                async for event in client.events(**options):
                    events += [event]
            except (Problem, httpx.TransportError) as error:
                return events, error
        return events, None

    return asyncio.run(read())


BOTH = pytest.mark.parametrize("read", [read_all, read_all_async])


@BOTH
def test_a_stream_that_ends_is_opened_again_after_its_last_event(read: Any) -> None:
    gateway = Gateway(stream(sse("a", "b")), stream(sse("c", mark="9.")), stream(b""))

    events, error = read(gateway)

    assert [event.data["task_id"] for event in events] == ["a", "b", "c"]
    assert [event.event_id for event in events] == ["a", "b", "c"]
    assert gateway.positions == [None, "2.b", "9.", "9."]
    assert isinstance(error, Problem)
    assert error.code == "over"


@BOTH
def test_an_event_that_comes_again_is_left_out(read: Any) -> None:
    events, _ = read(Gateway(stream(sse("a", "b")), stream(sse("a", "b", "c"))))

    assert [event.event_id for event in events] == ["a", "b", "c"]


@BOTH
def test_a_gateway_that_is_away_for_a_while_is_waited_for(read: Any) -> None:
    busy = httpx.Response(503, json={"code": "unavailable", "detail": "busy"})
    gateway = Gateway(
        httpx.ConnectError("refused"), busy, stream(sse("a")), httpx.ReadTimeout("silent"), stream(sse("b"))
    )

    events, _ = read(gateway)

    assert [event.event_id for event in events] == ["a", "b"]


@BOTH
def test_a_gateway_that_stays_away_is_given_up(read: Any) -> None:
    class Away(Gateway):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return httpx.Response(503, json={"code": "unavailable", "detail": "busy"})

    events, error = read(Away())

    assert (events, isinstance(error, Problem)) == ([], True)


@BOTH
@pytest.mark.parametrize(
    "content", [b"data: x\n\n", b"data: [1]\n\n", b'data: {"data": {}}\n\n', b"data: \xff\n\n", b"data: 1\n\n"]
)
def test_an_event_that_is_none_is_an_error_that_stays(read: Any, content: bytes) -> None:
    events, error = read(Gateway(stream(content), stream(sse("a"))))

    assert events == []
    assert isinstance(error, Problem)
    assert error.code == "unreadable_answer"


@BOTH
def test_another_server_has_no_events(read: Any) -> None:
    _, error = read(Gateway(httpx.Response(200, html="<h1>Welcome</h1>")))

    assert isinstance(error, Problem)
    assert error.code == "unreadable_answer"


@BOTH
def test_the_options_are_the_query_and_the_position(read: Any) -> None:
    gateway = Gateway()

    read(gateway, types=["job.done", "job.dead"], thin=True, after="5.x")

    [request] = gateway.requests
    assert request.url.query == b"events=job.done&events=job.dead&thin=true"
    assert request.headers["last-event-id"] == "5.x"


def test_an_event_has_its_job_and_its_payload_as_it_came() -> None:
    job = {"task_id": "01a20393-7178-742a-8954-a6e97ef610d9", "kind": "crop", "status": "done"}
    body = json.dumps({"type": "job.done", "timestamp": "2026-01-01T00:00:00Z", "data": job})

    [event], _ = read_all(Gateway(stream(f"id: 1.x\ndata: {body}\n\n".encode())))

    assert (event.job.status, event.body) == ("done", body)
    assert "body" not in event.model_dump()


def test_who_stops_reading_closes_the_stream() -> None:
    closed: list[bool] = []

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield sse("a")

        def close(self) -> None:
            closed.append(True)

    answer = httpx.Response(200, headers=TYPE, stream=Endless())
    with Client("http://gateway", transport=httpx.MockTransport(lambda _: answer)) as client:
        events = client.events()
        assert [event.event_id for event in islice(events, 1)] == ["a"]
        events.close()  # type: ignore[attr-defined]  # it is a generator

    assert closed == [True]

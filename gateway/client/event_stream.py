"""Server-sent events: the parser, and a subscription to the events of all jobs, which goes on where it was cut off."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import NamedTuple, Self

import httpx
from pydantic import ValidationError

from .call import Call
from .problem import Problem
from .receivers import DOCUMENT_MAX_BYTES, MemoryReceiver, Receiver
from .retry import CallError, RetryPolicy, RetryState
from .webhook_models import Event

SILENCE_SECONDS = 45.0
"""How long a stream may be silent: the gateway sends something every 15 s."""
RETRY_SECONDS = 2.0
MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.2, 60.0
REMEMBERED = 10_000
"""Events that are recognized when they come again."""
MEDIA_TYPE = "text/event-stream"
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")  # a line feed may follow a carriage return at the end
_ID = re.compile(r"[!-~]{1,256}")


class ServerEvent(NamedTuple):
    """One event of a stream, as it came."""

    id: str
    data: str


class EventParser:
    """Takes a stream apart, in whatever pieces it comes (HTML standard, section 9.2.6)."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry_seconds = RETRY_SECONDS
        self._rest = b""
        self._data: list[str] = []
        self._id = ""
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """Yield the events that a piece completes. Raises ValueError for one that is too large, or is not UTF-8."""
        *lines, self._rest = _LINE_END.split(self._rest + piece)
        for line in lines:
            self._size += len(line)
            if not line:
                yield from self._finish()
            else:
                self._take_line(line.decode())
        if self._size + len(self._rest) > DOCUMENT_MAX_BYTES:
            raise ValueError(f"An event is larger than {DOCUMENT_MAX_BYTES >> 20} MiB.")

    def _take_line(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id" and _ID.fullmatch(value):
            self._id = value
        elif name == "retry" and value.isascii() and value.isdecimal():
            self.retry_seconds = min(max(int(value[:9]) / 1000, MIN_RETRY_SECONDS), MAX_RETRY_SECONDS)

    def _finish(self) -> Iterator[ServerEvent]:
        data, self._data, self._size = "\n".join(self._data), [], 0
        self.last_id = self._id or self.last_id
        if data:
            yield ServerEvent(self.last_id, data)


class Subscription:
    """A stream of events over many connections. Each event comes once, as far as `REMEMBERED` reaches."""

    def __init__(self, types: Sequence[str] | None, *, thin: bool, after: str | None) -> None:
        self._query: dict[str, str | Sequence[str]] = {"events": list(types)} if types is not None else {}
        self._query |= {"thin": "true"} if thin else {}
        self._position = after or ""
        self._seen: dict[str, None] = {}
        self._received: list[Event] = []
        self._retry_seconds = RETRY_SECONDS
        self._attempts: RetryState | None = None

    def next_call(self) -> Call[None]:
        """Return the call that goes on with the stream."""
        return Call(
            method="GET",
            path="/events",
            query=self._query,
            headers={"Accept": MEDIA_TYPE} | ({"Last-Event-ID": self._position} if self._position else {}),
            server_wait_seconds=SILENCE_SECONDS,
            receive=self._open_receiver,
        )

    def take_events(self) -> list[Event]:
        """Return the events that have been received since the last time."""
        received, self._received = self._received, []
        return received

    def next_delay_seconds(self, failure: CallError | None, retry_policy: RetryPolicy, *, now: float) -> float | None:
        """Return the delay before the stream is opened again, which has ended or failed; None to give up.

        Failures count as the next ones of the same call while nothing of a stream has come since.
        """
        if failure is None:
            return self._retry_seconds
        self._attempts = self._attempts or RetryState(retry_policy, is_idempotent=True)
        return self._attempts.next_delay_seconds(failure, now=now)

    def accept(self, found: ServerEvent) -> None:
        """Keep an event, unless it has come before. Raises ValueError if it is none."""
        document = json.loads(found.data)
        event = Event.model_validate(document | {"position": found.id, "body": found.data})
        if event.event_id and event.event_id in self._seen:
            return
        self._seen[event.event_id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._received.append(event)

    def follow(self, parser: EventParser) -> None:
        """Go on after what a parser has read, when the stream is opened again."""
        self._position = parser.last_id or self._position
        self._retry_seconds = parser.retry_seconds
        self._attempts = None

    def _open_receiver(self, answer: httpx.Response) -> Receiver[None]:
        if answer.status_code != HTTPStatus.OK:
            return MemoryReceiver(answer, lambda *_: None)
        if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
            raise Problem.from_unreadable(answer, "It is no stream of events.")
        return _EventReceiver(answer, self)


class _EventReceiver:
    """Takes a stream of events piece by piece."""

    def __init__(self, answer: httpx.Response, subscription: Subscription) -> None:
        self._answer, self._subscription, self._parser = answer, subscription, EventParser()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def write(self, piece: bytes) -> None:
        """Take the next piece. Raises `Problem` for an event that is none."""
        try:
            for found in self._parser.feed(piece):
                self._subscription.accept(found)
        except (ValidationError, ValueError, TypeError, RecursionError) as error:
            reason = type(error).__name__ if isinstance(error, ValidationError) else error
            raise Problem.from_unreadable(self._answer, reason) from error
        self._subscription.follow(self._parser)

    def result(self) -> None:
        """Return: a stream may end at any time, and is opened again."""


def events(types: Sequence[str] | None = None, *, thin: bool = False, after: str | None = None) -> Subscription:
    """Iterate over the events of all jobs as they happen, for ever: of these `types`, by default "job.done" and others.

    Events from before the call are left out, or with `after`, the `position` of an earlier event, those up to that one.
    When the connection is lost, it goes on after the last event. `thin` events have a short `data`. This is for
    development and for small setups: webhooks lose no event.
    """
    return Subscription(types, thin=thin, after=after)

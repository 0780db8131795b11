"""The endpoints that events are sent to: one is healthy, one is slow, two fail a third of the time."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from storage.clock import now_ms
from storage.events import EventType
from tests.support.webhook_receiver import Received, Receiver, Reply, run_receiver
from tests.support.webhooks import SECRET

FAILED_SHARE = 1 / 3
SLOW_SECONDS = 0.5
HANG_SECONDS = 3.0  # longer than a try may take
ENDS = frozenset(EventType) - {EventType.RENDITION_DONE}
FAILURES = (
    Reply(500),
    Reply(503, {"Retry-After": "1"}),
    Reply(307, {"Location": "/elsewhere"}),
    Reply(is_cut=True),
    None,  # no answer in time
)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A webhook of the settings, and how it answers. Its name is the path of its address."""

    name: str
    events: frozenset[EventType]
    fails: bool = False
    seconds: float = 0
    is_thin: bool = False


ENDPOINTS = {
    endpoint.name: endpoint
    for endpoint in (
        Endpoint(name="healthy", events=frozenset(EventType)),
        Endpoint(name="flaky", events=ENDS, fails=True),
        Endpoint(name="failures", events=ENDS - {EventType.JOB_DONE}, fails=True, is_thin=True),
        Endpoint(name="slow", events=ENDS, seconds=SLOW_SECONDS),
    )
}
THOROUGH_ENDPOINTS = ENDPOINTS | {"flaky": replace(ENDPOINTS["flaky"], events=frozenset(EventType))}
"""One that fails gets each rendition, too: four times as many events as it can take while fault follows fault."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A request with an event, in the order of arrival."""

    endpoint: str
    event_id: str
    at_ms: int
    """Epoch ms."""
    is_accepted: bool
    """Whether it is answered with success; that answer may still be lost."""
    sha256: str
    """Of the body."""
    type: str = ""
    task_id: str = ""
    status: str = ""
    mistake: str | None = None
    """What is wrong with its signature or its body."""


class EventLog:
    """Answers the requests of all endpoints, and records them. Which of them fail is decided by the seed."""

    def __init__(self, receiver: Receiver, endpoints: Mapping[str, Endpoint], *, seed: int) -> None:
        self._receiver, self._endpoints, self._seed = receiver, endpoints, seed
        self._tries: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self.arrivals: list[Arrival] = []
        self.under_way: Counter[str] = Counter()
        """Requests that are not answered yet, by endpoint."""
        receiver.reply = self._answer

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a stack that sends its events here."""
        fixed = {
            endpoint.name: {
                "url": self._receiver.url(f"/{endpoint.name}"),
                "secrets": [SECRET],
                "events": sorted(endpoint.events),
                "is_thin": endpoint.is_thin,
            }
            for endpoint in self._endpoints.values()
        }
        return {"DARKROOM_WEBHOOKS__FIXED": json.dumps(fixed)}

    def _answer(self, request: Received) -> Reply:
        name = request.path.strip("/")
        endpoint = self._endpoints.get(name)
        with self._lock:
            self._tries[name, request.event_id] += 1
            failure = self._choose_failure(endpoint, request.event_id) if endpoint else Reply(404)
            is_accepted = isinstance(failure, Reply) and failure.status in range(200, 300) and not failure.is_cut
            self.arrivals.append(_read(request, name, is_accepted=is_accepted))
            self.under_way[name] += 1
        try:
            self._receiver.is_closing.wait(HANG_SECONDS if failure is None else endpoint.seconds if endpoint else 0)
        finally:
            with self._lock:
                self.under_way[name] -= 1
        return failure or Reply(500)

    def _choose_failure(self, endpoint: Endpoint, event_id: str) -> Reply | None:
        """Return the answer; None for none in time."""
        number = self._tries[endpoint.name, event_id]
        random = Random(f"{self._seed} {endpoint.name} {event_id} {number}")  # noqa: S311  not a secret
        return random.choice(FAILURES) if endpoint.fails and random.random() < FAILED_SHARE else Reply()


@contextmanager
def run_endpoints(endpoints: Mapping[str, Endpoint] = ENDPOINTS, *, seed: int) -> Iterator[EventLog]:
    """Run them until the block ends."""
    with run_receiver() as receiver:
        yield EventLog(receiver, endpoints, seed=seed)


def _read(request: Received, endpoint: str, *, is_accepted: bool) -> Arrival:
    fields: dict[str, str] = {}
    try:
        payload: Mapping[str, Any] = request.verify()
        fields = {"type": payload["type"], "task_id": payload["data"]["task_id"], "status": payload["data"]["status"]}
    except Exception as error:  # noqa: BLE001  # whatever is wrong with a request is reported
        fields = {"mistake": f"{type(error).__name__}: {error}"}
    return Arrival(
        endpoint=endpoint,
        event_id=request.headers.get("webhook-id", ""),
        at_ms=now_ms(),
        is_accepted=is_accepted,
        sha256=hashlib.sha256(request.content).hexdigest(),
        **fields,
    )

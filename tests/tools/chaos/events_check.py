"""What must be true of the events that endpoints have got, once all is quiet.

Each event arrives at least once at every endpoint that wants it, those of one job in one order, and there is none of a
job that did not end.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from storage.documents import JobState
from storage.events import EventType
from tests.tools.chaos.endpoints import ENDPOINTS, Arrival, Endpoint
from tests.tools.chaos.violations import Violation, ViolationKind

RENDITION, END, EXPIRY = 0, 1, 2
_ID = re.compile(r"(?P<task_id>[0-9a-f-]{36})-(?P<life>\d+)-(?P<rank>\d)-(?P<name>.+)", re.ASCII)
_ENDS: Mapping[str, JobState] = {
    EventType.JOB_DONE: JobState.DONE,
    EventType.JOB_FAILED: JobState.FAILED,
    EventType.JOB_DEAD: JobState.DEAD,
    EventType.JOB_CANCELLED: JobState.CANCELLED,
}
"""The state of a job that an event of its end says."""
_TYPES = {state: event_type for event_type, state in _ENDS.items()}


@dataclass(frozen=True, kw_only=True)
class JobHistory:
    """What is known of a job: each retry and each reprocessing begins a new life, which ends once."""

    task_id: str
    least_lives: int = 1
    most_lives: int = 1
    """More than the least if a request for one more life was not answered."""
    last_end: tuple[int, JobState] | None = None
    """The number of its last life, and its end; None if the job is removed."""
    renditions: frozenset[str] = frozenset()
    """Those that it has if it is done."""
    is_expired: bool | None = False
    """None if it is not known: the job is removed."""


@dataclass(frozen=True)
class Event:
    """An event, by what its id says."""

    task_id: str
    life: int
    rank: int
    name: str
    type: str

    @property
    def place(self) -> tuple[int, int]:
        """Its place among the events of its job."""
        return self.life, self.rank


def check_events(
    arrivals: Iterable[Arrival], histories: Collection[JobHistory], endpoints: Mapping[str, Endpoint] = ENDPOINTS
) -> list[Violation]:
    """Check all that arrived, in the order of arrival, against what is known of the jobs."""
    arrivals, known = list(arrivals), {history.task_id: history for history in histories}
    events = {arrival.event_id: event for arrival in arrivals if (event := _parse(arrival)) is not None}
    found = [violation for arrival in arrivals for violation in _check_arrival(arrival, known, endpoints)]
    found += _check_bodies(arrivals)
    by_job: dict[str, list[Event]] = defaultdict(list)
    for event in events.values():
        by_job[event.task_id].append(event)
    for history in histories:
        found += _check_history(history, by_job[history.task_id])
    found += _check_arrived(arrivals, events, endpoints)
    found += _check_order(arrivals, events, endpoints)
    return found


def _parse(arrival: Arrival) -> Event | None:
    match = _ID.fullmatch(arrival.event_id)
    if match is None or arrival.mistake is not None:
        return None
    return Event(match["task_id"], int(match["life"]), int(match["rank"]), match["name"], arrival.type)


def _check_arrival(
    arrival: Arrival, known: Mapping[str, JobHistory], endpoints: Mapping[str, Endpoint]
) -> Iterator[Violation]:
    """Check one request: signed, wanted, and of an event that has happened."""
    event, endpoint = _parse(arrival), endpoints.get(arrival.endpoint)
    job_id = arrival.task_id or None
    about = f"{arrival.event_id or 'a request without an id'} at {arrival.endpoint}"
    if endpoint is None or event is None:
        yield Violation(ViolationKind.FALSE_EVENT, f"{about}: {arrival.mistake or 'no such endpoint, or id'}", job_id)
        return
    if arrival.type not in endpoint.events:
        yield Violation(ViolationKind.FALSE_EVENT, f"{about}: it does not want {arrival.type}", job_id)
    if event.task_id != arrival.task_id or arrival.task_id not in known:
        yield Violation(ViolationKind.FALSE_EVENT, f"{about}: nobody has submitted {arrival.task_id}", job_id)
    end = _ENDS.get(arrival.type)
    if end is not None and arrival.status != end:
        yield Violation(ViolationKind.FALSE_EVENT, f"{about}: {arrival.type} of a job that is {arrival.status}", job_id)


def _check_bodies(arrivals: Iterable[Arrival]) -> Iterator[Violation]:
    first: dict[tuple[str, str], str] = {}
    for arrival in arrivals:
        if first.setdefault((arrival.endpoint, arrival.event_id), arrival.sha256) != arrival.sha256:
            sentence = f"{arrival.event_id} came to {arrival.endpoint} with two bodies"
            yield Violation(ViolationKind.FALSE_EVENT, sentence, arrival.task_id)


def _check_history(history: JobHistory, events: Collection[Event]) -> Iterator[Violation]:
    """Compare the events of a job, wherever they arrived, with what has happened to it."""
    ends: dict[int, set[str]] = defaultdict(set)
    for event in events:
        if event.rank == END:
            ends[event.life].add(event.type)
    job_id = history.task_id
    if len(ends) < history.least_lives:
        sentence = f"{len(ends)} of its {history.least_lives} ends arrived anywhere"
        yield Violation(ViolationKind.EVENT_LOST, sentence, job_id)
    if len(ends) > history.most_lives:
        sentence = f"{len(ends)} ends, of at most {history.most_lives}: {dict(ends)}"
        yield Violation(ViolationKind.FALSE_EVENT, sentence, job_id)
    for life, types in ends.items():
        if len(types) > 1:
            yield Violation(ViolationKind.FALSE_EVENT, f"life {life} has ended as {sorted(types)}", job_id)
    if history.last_end is not None:
        life, state = history.last_end
        if ends.get(life) != {_TYPES[state]}:
            sentence = f"it is {state}, and the events of life {life} say {sorted(ends.get(life, ()))}"
            yield Violation(ViolationKind.EVENT_LOST, sentence, job_id)
        if last := [other for other in ends if other > life]:
            yield Violation(ViolationKind.FALSE_EVENT, f"events of lives {last}, later than its last one", job_id)
    yield from _check_parts(history, events)


def _check_parts(history: JobHistory, events: Collection[Event]) -> Iterator[Violation]:
    """Check the events of renditions and of the expiry."""
    is_done = any(event.type == EventType.JOB_DONE for event in events)
    renditions = {event.name for event in events if event.rank == RENDITION}
    if is_done and (missing := history.renditions - renditions):
        sentence = f"no event of {', '.join(sorted(missing))} arrived anywhere"
        yield Violation(ViolationKind.EVENT_LOST, sentence, history.task_id)
    if unknown := renditions - history.renditions:
        sentence = f"events of {', '.join(sorted(unknown))}, which it does not have"
        yield Violation(ViolationKind.FALSE_EVENT, sentence, history.task_id)
    is_expired = any(event.rank == EXPIRY for event in events)
    if history.is_expired not in {None, is_expired}:
        kind = ViolationKind.FALSE_EVENT if is_expired else ViolationKind.EVENT_LOST
        yield Violation(kind, f"expired: {history.is_expired}; an event says so: {is_expired}", history.task_id)


def _check_arrived(
    arrivals: Iterable[Arrival], events: Mapping[str, Event], endpoints: Mapping[str, Endpoint]
) -> Iterator[Violation]:
    """Each endpoint that wants an event which arrived anywhere must have accepted it."""
    accepted = {(arrival.endpoint, arrival.event_id) for arrival in arrivals if arrival.is_accepted}
    for event_id, event in events.items():
        for endpoint in endpoints.values():
            if event.type in endpoint.events and (endpoint.name, event_id) not in accepted:
                sentence = f"{endpoint.name} has never accepted {event_id}"
                yield Violation(ViolationKind.EVENT_LOST, sentence, event.task_id)


def _check_order(
    arrivals: Iterable[Arrival], events: Mapping[str, Event], endpoints: Mapping[str, Endpoint]
) -> Iterator[Violation]:
    """No event of a job comes to an endpoint before that has accepted each earlier one."""
    wanted: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event_id, event in events.items():
        for endpoint in endpoints.values():
            if event.type in endpoint.events:
                wanted[endpoint.name, event.task_id].append(event_id)
    accepted: set[tuple[str, str]] = set()
    seen: set[tuple[str, str]] = set()
    for arrival in arrivals:
        key, arrived = (arrival.endpoint, arrival.event_id), events.get(arrival.event_id)
        if arrived is not None and key not in seen:
            seen.add(key)
            for other in wanted[arrival.endpoint, arrived.task_id]:
                if events[other].place < arrived.place and (arrival.endpoint, other) not in accepted:
                    sentence = f"{arrival.event_id} came to {arrival.endpoint} before it had accepted {other}"
                    yield Violation(ViolationKind.OUT_OF_ORDER, sentence, arrived.task_id)
        if arrival.is_accepted:
            accepted.add(key)

"""What arrived at the endpoints, in figures: after each kind of fault, and how long after the ends of jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from storage.documents import JobRecord
from tests.tools.chaos.endpoints import Arrival
from tests.tools.chaos.schedule import Injection

NO_FAULT = "(before the first fault)"


@dataclass(kw_only=True)
class EventFigures:
    """Requests of some time, and the seconds from the end of each job to the first time that an endpoint accepts it."""

    times: int = 0
    events: int = 0
    """Each event counts once for each endpoint that accepted it."""
    tries: int = 0
    duplicates: int = 0
    """Those that the endpoint had accepted before."""
    waits: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Read:
    arrival: Arrival
    is_first: bool
    wait: float | None


def figures_by_fault(
    arrivals: Sequence[Arrival], jobs: Iterable[JobRecord], injections: Sequence[Injection], *, endpoint: str
) -> dict[str, EventFigures]:
    """Return the figures of the times from each fault to the next one, by fault; `waits` are those of one endpoint."""
    starts = [0, *(injection.injected_ms for injection in injections), 2**63]
    names = [NO_FAULT, *(injection.fault for injection in injections)]
    by_fault: dict[str, EventFigures] = {}
    reads = list(_read(arrivals, jobs))
    for name, (start, stop) in zip(names, pairwise(starts), strict=True):
        figures = by_fault.setdefault(name, EventFigures())
        figures.times += 1
        _add(figures, [each for each in reads if start <= each.arrival.at_ms < stop], endpoint)
    return by_fault


def waits_at(arrivals: Iterable[Arrival], jobs: Iterable[JobRecord], endpoint: str) -> list[float]:
    """Return the seconds from the end of each job until the endpoint first accepts the event of it."""
    reads = _read(arrivals, jobs)
    return [each.wait for each in reads if each.wait is not None and each.arrival.endpoint == endpoint]


def total(arrivals: Iterable[Arrival]) -> EventFigures:
    """Return the figures of all, without waits."""
    figures = EventFigures()
    _add(figures, list(_read(arrivals, [])), endpoint="")
    return figures


def tries_by_endpoint(arrivals: Iterable[Arrival]) -> Counter[str]:
    """Count the requests to each endpoint."""
    return Counter(arrival.endpoint for arrival in arrivals)


def _read(arrivals: Iterable[Arrival], jobs: Iterable[JobRecord]) -> Iterator[_Read]:
    ends = {(job.id, job.first_generation): job.finished_ms for job in jobs}
    accepted: set[tuple[str, str]] = set()
    for arrival in arrivals:
        key = (arrival.endpoint, arrival.event_id)
        is_first = arrival.is_accepted and key not in accepted
        accepted |= {key} if arrival.is_accepted else set()
        life = arrival.event_id[len(arrival.task_id) + 1 :].partition("-")[0]
        ended_ms = ends.get((arrival.task_id, int(life))) if life.isdecimal() else None
        is_end = arrival.type.startswith("job.")
        wait = (arrival.at_ms - ended_ms) / 1000 if is_first and is_end and ended_ms is not None else None
        yield _Read(arrival=arrival, is_first=is_first, wait=wait)


def _add(figures: EventFigures, reads: Sequence[_Read], endpoint: str) -> None:
    figures.tries += len(reads)
    figures.events += sum(each.is_first for each in reads)
    figures.duplicates += sum(each.arrival.is_accepted and not each.is_first for each in reads)
    figures.waits += [each.wait for each in reads if each.wait is not None and each.arrival.endpoint == endpoint]

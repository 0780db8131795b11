"""The check of events finds what it is there to find."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.documents import JobState
from storage.job_ids import new_job_id
from tests.tools.chaos.endpoints import THOROUGH_ENDPOINTS, Arrival
from tests.tools.chaos.events_check import JobHistory, check_events
from tests.tools.chaos.violations import ViolationKind

TASK_ID = new_job_id()
HISTORY = JobHistory(task_id=TASK_ID, last_end=(0, JobState.DONE), renditions=frozenset({"small", "large"}))
TWICE = replace(HISTORY, least_lives=2, most_lives=2, last_end=(1, JobState.DONE))
LOST, FALSE, ORDER = ViolationKind.EVENT_LOST, ViolationKind.FALSE_EVENT, ViolationKind.OUT_OF_ORDER


def arrive(endpoint: str, key: str, event_type: str, status: str = "done", **fields: object) -> Arrival:
    values = {"endpoint": endpoint, "event_id": f"{TASK_ID}-{key}", "at_ms": 1, "is_accepted": True, "sha256": key}
    values |= {"type": event_type, "task_id": TASK_ID, "status": status}
    return Arrival(**values | fields)  # type: ignore[arg-type]


def arrive_everywhere(key: str, event_type: str, status: str = "done", **fields: object) -> list[Arrival]:
    wanting = [endpoint.name for endpoint in THOROUGH_ENDPOINTS.values() if event_type in endpoint.events]
    return [arrive(name, key, event_type, status, **fields) for name in wanting]


def all_of_a_life(life: int = 0) -> list[Arrival]:
    renditions = [arrive_everywhere(f"{life}-0-{name}", "rendition.done", "processing") for name in ("large", "small")]
    return [*renditions[0], *renditions[1], *arrive_everywhere(f"{life}-1-done", "job.done")]


def found(arrivals: list[Arrival], history: JobHistory = HISTORY) -> set[ViolationKind]:
    return {violation.kind for violation in check_events(arrivals, [history], THOROUGH_ENDPOINTS)}


def test_what_is_as_it_must_be_is_not_reported() -> None:
    again = [*all_of_a_life(), *all_of_a_life()]

    assert found(all_of_a_life()) == set()
    assert found(again) == set()
    assert found([*all_of_a_life(), *all_of_a_life(1)], TWICE) == set()
    assert found([*all_of_a_life(), *all_of_a_life(1)], replace(HISTORY, most_lives=2, last_end=None)) == set()


def test_an_event_that_arrived_nowhere_is_lost() -> None:
    without_end = [each for each in all_of_a_life() if each.type != "job.done"]
    without_rendition = [each for each in all_of_a_life() if not each.event_id.endswith("small")]

    assert LOST in found([])
    assert LOST in found(without_end)
    assert LOST in found(without_rendition)
    assert LOST in found(all_of_a_life(1), TWICE)
    assert LOST in found(all_of_a_life(), replace(HISTORY, is_expired=True))


@pytest.mark.parametrize("endpoint", [name for name, each in THOROUGH_ENDPOINTS.items() if "job.done" in each.events])
def test_an_event_that_one_endpoint_has_not_accepted_is_lost(endpoint: str) -> None:
    arrivals = all_of_a_life()
    refused = [replace(each, is_accepted=False) if each.endpoint == endpoint else each for each in arrivals]
    missing = [each for each in arrivals if each.endpoint != endpoint]

    assert LOST in found(refused)
    assert LOST in found(missing)


def test_the_end_before_a_rendition_is_out_of_order_and_so_is_the_second_life_before_the_first() -> None:
    arrivals = all_of_a_life()

    assert ORDER in found(arrivals[::-1])
    assert ORDER in found([*all_of_a_life(1), *all_of_a_life(0)], TWICE)
    assert ORDER not in found([*arrivals, *arrivals[:-1]])


def test_an_event_that_comes_while_an_earlier_one_was_only_refused_is_out_of_order() -> None:
    refused = [replace(each, is_accepted=False) for each in all_of_a_life() if each.type == "rendition.done"]

    assert ORDER in found([*refused, *arrive_everywhere("0-1-done", "job.done"), *all_of_a_life()])


def test_what_has_not_happened_is_a_false_event() -> None:
    arrivals, other = all_of_a_life(), new_job_id()
    active = [replace(each, status="processing") if each.type == "job.done" else each for each in arrivals]

    assert FALSE in found(active)
    assert FALSE in found([*arrivals, *arrive_everywhere("0-1-failed", "job.failed", "failed")])
    assert FALSE in found([*arrivals, *all_of_a_life(1)])
    assert FALSE in found([*arrivals, *arrive_everywhere("0-2-expired", "job.expired")])
    assert FALSE in found([*arrivals, arrive("healthy", "0-0-huge", "rendition.done", "processing")])
    assert FALSE in found([*arrivals, arrive("healthy", "", "job.done", event_id=f"{other}-0-1-done", task_id=other)])


def test_what_is_not_as_it_must_be_is_a_false_event() -> None:
    arrivals = all_of_a_life()

    assert FALSE in found([*arrivals, replace(arrivals[0], sha256="another")])
    assert FALSE in found([*arrivals, replace(arrivals[0], mistake="no matching signature")])
    assert FALSE in found([*arrivals, replace(arrivals[0], endpoint="elsewhere")])
    assert FALSE in found([*arrivals, arrive("failures", "0-1-done", "job.done")])
    assert FALSE in found([*arrivals, arrive("slow", "0-0-small", "rendition.done")])

"""The outbox of a job: events that the same update records that makes them happen, so that none is lost."""

from __future__ import annotations

from typing import Any

from storage.documents import JobRecord, JobState, Kind
from storage.events import EventType, OutboxEvent

END_EVENTS = {
    JobState.DONE: EventType.JOB_DONE,
    JobState.FAILED: EventType.JOB_FAILED,
    JobState.DEAD: EventType.JOB_DEAD,
    JobState.CANCELLED: EventType.JOB_CANCELLED,
}
"""The event of a job that ends in a state."""


def end_changes(job: JobRecord, state: JobState, *, now: int) -> dict[str, Any]:
    """Return the changes that record the event of a job that ends in this state now (epoch ms)."""
    return _changes(job, OutboxEvent(type=END_EVENTS[state], ms=now, life=job.first_generation))


def expiry_changes(job: JobRecord, *, now: int) -> dict[str, Any]:
    """Return the changes that record that the results of a done job have expired; none for any other job."""
    if job.state is not JobState.DONE:
        return {}
    return _changes(job, OutboxEvent(type=EventType.JOB_EXPIRED, ms=now, life=job.first_generation))


def rendition_changes(job: JobRecord, stage: str, *, now: int) -> dict[str, Any]:
    """Return the changes that record that a rendition is done, if anyone wants to know; none for any other stage."""
    if not job.announces_renditions or stage not in job.operation.renditions:
        return {}
    event = OutboxEvent(type=EventType.RENDITION_DONE, ms=now, life=job.first_generation, rendition=stage)
    return _changes(job, event)


def with_end_event(job: JobRecord, *, now: int) -> dict[str, Any]:
    """Return the fields of a job that is inserted when it has already ended: those of its event."""
    event = OutboxEvent(type=END_EVENTS[job.state], ms=now, life=job.first_generation)
    return {"outbox": {event.key: event}, "outbox_ms": now}


def _changes(job: JobRecord, event: OutboxEvent) -> dict[str, Any]:
    """Return the stored changes; none for an image on demand, which is no job that somebody has submitted."""
    if job.kind is Kind.IMAGE:
        return {}
    return {f"outbox.{event.key}": event.model_dump(mode="json"), "outbox_ms": event.ms}

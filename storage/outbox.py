"""The outbox of a job: events that the same update records that makes them happen, so that none is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.documents import JobRecord, JobState, Kind
from storage.events import EventType, OutboxEvent

END_EVENTS = {
    JobState.DONE: EventType.JOB_DONE,
    JobState.FAILED: EventType.JOB_FAILED,
    JobState.DEAD: EventType.JOB_DEAD,
    JobState.CANCELLED: EventType.JOB_CANCELLED,
}
"""The event of a job that ends in a state."""


class Outbox(BaseModel):
    """What the document of a job with events says of them, without all the rest of it."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    job_id: str = Field(alias="_id")
    owner: str | None = None
    version: int
    """Version of the job: it is another one once there is one more event."""
    outbox: dict[str, OutboxEvent]
    last_ms: int = Field(alias="outbox_ms")
    """When the last of them happened (epoch ms)."""

    @property
    def events(self) -> list[OutboxEvent]:
        """The events, in the order in which they happened."""
        return sort_events(self.outbox)


OUTBOX_FIELDS = ("owner", "version", "outbox", "outbox_ms")
"""The stored fields of an `Outbox`, beside its id."""


def read_outbox(document: Mapping[str, Any]) -> Outbox | None:
    """Return the outbox of a document; None if this version cannot read it."""
    try:
        return Outbox.model_validate(document)
    except ValidationError:
        return None


def sort_events(outbox: Mapping[str, OutboxEvent]) -> list[OutboxEvent]:
    """Return the events of an outbox in the order in which they happened."""
    return sorted(outbox.values(), key=lambda event: event.order)


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
    """Return the fields of a job that is inserted when it has already ended: its event, and those of its renditions."""
    done = {"type": EventType.RENDITION_DONE, "ms": now, "life": job.first_generation}
    names = job.operation.renditions if job.announces_renditions else ()
    events = [OutboxEvent(**done, rendition=name) for name in names]
    events.append(OutboxEvent(type=END_EVENTS[job.state], ms=now, life=job.first_generation))
    return {"outbox": {event.key: event for event in events}, "outbox_ms": now}


def _changes(job: JobRecord, event: OutboxEvent) -> dict[str, Any]:
    """Return the stored changes; none for an image on demand, which is no job that somebody has submitted."""
    if job.kind is Kind.IMAGE:
        return {}
    return {f"outbox.{event.key}": event.model_dump(mode="json"), "outbox_ms": event.ms}

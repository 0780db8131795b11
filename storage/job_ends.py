"""Which jobs of an owner have ended, or expired, since a time: their events without the rest of their documents."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from motor.motor_asyncio import AsyncIOMotorCollection

from storage.documents import Job, JobState, Kind
from storage.events import EventType, OutboxEvent
from storage.outbox import END_EVENTS


class Moment(StrEnum):
    """The field of a job that says when an event happened."""

    END = "finished_ms"
    EXPIRY = "blobs_removed_ms"


class JobEnd(NamedTuple):
    """An event of a job, the same as the one that the job recorded in its outbox."""

    job_id: str
    event: OutboxEvent

    @property
    def event_id(self) -> str:
        """The id of the event."""
        return self.event.event_id(self.job_id)

    def is_of(self, job: Job) -> bool:
        """Whether the job is still as it was then: it has not been retried or reprocessed since."""
        field = Moment.EXPIRY if self.event.type == EventType.JOB_EXPIRED else Moment.END
        return bool(getattr(job, field) == self.event.ms and job.first_generation == self.event.life)


async def find_job_ends(
    jobs: AsyncIOMotorCollection[dict[str, Any]], moment: Moment, *, owner: str | None, since_ms: int, limit: int
) -> list[JobEnd]:
    """Return what happened to jobs of an owner (None: to those without) at `since_ms` (epoch ms) or later.

    The earliest come first. Images on demand are left out. A state of a newer version makes an event of its own type.
    """
    query: dict[str, Any] = {"owner": owner, moment.value: {"$gte": since_ms}, "kind": {"$ne": Kind.IMAGE.value}}
    if moment is Moment.EXPIRY:
        query["state"] = JobState.DONE.value
    fields = {moment.value: 1, "state": 1, "first_generation": 1}
    documents = await jobs.find(query, fields).sort(moment.value, 1).limit(limit).to_list(None)
    return [
        JobEnd(
            str(each["_id"]),
            build_event(moment, str(each.get("state")), int(each[moment.value]), _read_life(each)),
        )
        for each in documents
    ]


def _read_life(document: dict[str, Any]) -> int:
    """Return the life of a job; 0 for a document that cannot be read, which is found out when all of it is read."""
    life = document.get("first_generation", 0)
    return life if isinstance(life, int) else 0


def build_event(moment: Moment, state: str, ms: int, life: int) -> OutboxEvent:
    """Return the event of a job in a state that ended, or expired, at a time (epoch ms) in one of its lives."""
    if moment is Moment.EXPIRY:
        return OutboxEvent(type=EventType.JOB_EXPIRED, ms=ms, life=life)
    end_types = {known.value: end_type for known, end_type in END_EVENTS.items()}
    return OutboxEvent(type=end_types.get(state, f"job.{state}"), ms=ms, life=life)

"""Events: what a job's document records to be sent to those who want to know of it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel


class EventType(StrEnum):
    """What happened to a job."""

    JOB_DONE = "job.done"
    JOB_FAILED = "job.failed"
    JOB_DEAD = "job.dead"
    JOB_CANCELLED = "job.cancelled"
    JOB_EXPIRED = "job.expired"
    RENDITION_DONE = "rendition.done"


_RANKS: dict[str, int] = {EventType.RENDITION_DONE: 0, EventType.JOB_EXPIRED: 2}
"""Place of an event among those of one life of a job; the end of the job is 1."""


class OutboxEvent(BaseModel):
    """One event of a job that is not sent yet. Its key in the outbox is `key`."""

    type: str
    """One of `EventType`, or one that a newer version knows."""
    ms: int
    """When it happened (epoch ms)."""
    life: int = 0
    """`first_generation` of the job: each retry and each reprocessing begins a new life, which ends once."""
    rendition: str | None = None
    """The rendition that is done; None for events of the whole job."""

    @property
    def rank(self) -> int:
        """Place among the events of one life: renditions, then the end, then the expiry."""
        return _RANKS.get(self.type, 1)

    @property
    def key(self) -> str:
        """A name that no other event of the job has, without a dot: `0-1-done`, `0-0-small`."""
        return f"{self.life}-{self.rank}-{self.rendition or self.type.rpartition('.')[2]}"

    @property
    def order(self) -> str:
        """A text that sorts the events of one job in the order in which they happened."""
        return f"{self.life:08d}-{self.rank}-{self.ms:015d}-{self.rendition or ''}"

    def event_id(self, job_id: str) -> str:
        """Return the id of the event: the same whoever computes it, and however often."""
        return f"{job_id}-{self.key}"

"""The job document: its parts and its states, the schema in one place."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Self
from uuid import UUID

from beanie import Document
from pydantic import BaseModel, ConfigDict, Field
from pymongo import ASCENDING, IndexModel

from storage.clock import now_ms


class JobState(StrEnum):
    """Where a job stands; it only moves forward."""

    ACCEPTED = "accepted"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


ACTIVE_STATES = (JobState.ACCEPTED, JobState.PROCESSING)
OUTPUT = "output"
"""The one rendition of an operation."""


class Kind(StrEnum):
    """What a job makes: the previews of an upload, or the output of one operation."""

    PREVIEWS = "previews"
    CROP = "crop"
    GRAYSCALE = "grayscale"
    RESIZE = "resize"


class Lane(StrEnum):
    """Which of two queues a job's messages take: the one for a few at a time, or the one that can wait."""

    EXPRESS = "express"
    BULK = "bulk"


class StageState(StrEnum):
    """Where one stage of a job stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Failure(BaseModel):
    """Why a job ended without a result: the stage, a stable code and a sentence for a person."""

    stage: str | None
    code: str
    message: str
    errors: list[dict[str, Any]] = Field(default_factory=list, description="Every rule that was broken.")


class Original(BaseModel):
    """The bytes as uploaded: where they are and what was learned while they streamed in."""

    blob: str
    name: str | None
    media_type: str
    bytes: int
    sha256: str


class Operation(BaseModel):
    """What was asked for: how to encode, and the long edge in pixels of each preview or the operation's parameters."""

    renditions: dict[str, int] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    format: str = "auto"
    quality: int | None = None
    background: str = "#ffffff"
    animated: bool = False


MESSAGE_ID = "task_id"
"""The stored name of `StageRecord.message_id`."""


class StageRecord(BaseModel):
    """One stage of one job: `attempts` is its fencing token, `retries` those the infrastructure is to blame for."""

    model_config = ConfigDict(populate_by_name=True)

    state: StageState = StageState.PENDING
    attempts: int = 0
    retries: int = 0
    message_id: str | None = Field(default=None, alias=MESSAGE_ID)
    worker: str | None = None
    lease_ms: int = 0
    queued_ms: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    result: dict[str, Any] | None = None
    error: str | None = None

    def reset_for_retry(self, now: int) -> StageRecord:
        """Return the stage as it waits for a retry: its fencing token keeps counting, no attempt counts any more."""
        return StageRecord(attempts=self.attempts, retries=self.attempts, queued_ms=now, error=self.error)


class JobRecord(BaseModel):
    """One upload, from the answer to its last stage: truth, outbox and stage record in one.

    `version` counts the changes that can be seen from outside, one up with each.
    """

    model_config = ConfigDict(populate_by_name=True)

    id: str = Field(alias="_id")
    kind: Kind
    state: JobState = JobState.ACCEPTED
    version: int = 0
    lane: Lane = Lane.EXPRESS
    generation: int = 0
    first_generation: int = 0
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    updated_ms: int = Field(default_factory=now_ms)
    dispatched_ms: int = Field(default_factory=now_ms)
    next_dispatch_ms: int
    finished_ms: int | None = None
    blobs_removed_ms: int | None = None
    finalizations: int = 0
    original: Original
    operation: Operation
    failure: Failure | None = None
    owner: str | None = None
    source_task_id: str | None = None
    deduplicated_from: str | None = None
    fingerprint: str | None = None
    request_id: str | None = None
    traceparent: str | None = None
    stages: dict[str, StageRecord]

    @property
    def is_active(self) -> bool:
        """Whether the job may still move."""
        return self.state in ACTIVE_STATES

    @property
    def upload_started_ms(self) -> int:
        """When its upload began (epoch ms): ids are UUIDv7, which begin with their time (RFC 9562, section 5.7)."""
        return UUID(self.id).int >> 80

    @property
    def redispatches(self) -> int:
        """How often the job was dispatched again, since it was submitted or since its last retry."""
        return self.generation - self.first_generation

    def reset_for_retry(self, now: int, *, next_dispatch_ms: int) -> Self:
        """Return the job as it starts again, at its first stage that is not done: all attempts and dispatches are left.

        `now` and `next_dispatch_ms` are epoch ms. What is done stays done.
        """
        stages = {
            name: stage.model_copy() if stage.state is StageState.DONE else stage.reset_for_retry(now)
            for name, stage in self.stages.items()
        }
        return self.model_copy(
            update={
                "state": JobState.PROCESSING,
                "version": self.version + 1,
                "generation": self.generation + 1,
                "first_generation": self.generation + 1,
                "dispatched_ms": now,
                "next_dispatch_ms": next_dispatch_ms,
                "updated_ms": now,
                "finished_ms": None,
                "failure": None,
                "stages": stages,
            }
        )

    def has_live_lease(self, now: int) -> bool:
        """Whether some stage is being worked on at `now` (epoch ms)."""
        return any(s.state is StageState.RUNNING and s.lease_ms > now for s in self.stages.values())


class Job(JobRecord, Document):
    """The same record, bound to its collection for the gateway."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # beanie's own is an ObjectId

    class Settings:
        """Collection and indexes."""

        name = "jobs"
        indexes: ClassVar = [
            IndexModel([("state", ASCENDING), ("next_dispatch_ms", ASCENDING)], name="due"),
            IndexModel([("state", ASCENDING), ("finished_ms", ASCENDING)], name="finished"),
            IndexModel([("original.sha256", ASCENDING)], name="content"),
            IndexModel([("blobs_removed_ms", ASCENDING)], name="blobs_removed"),
        ]


def job_folder(job_id: str) -> str:
    """Return the folder, in the blob store, of everything that belongs to one job."""
    return job_id


def blob_key(job_id: str, name: str) -> str:
    """Return the key of one blob of a job."""
    return f"{job_folder(job_id)}/{name}"

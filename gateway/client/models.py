"""What the gateway's answers are read into: leniently, for a newer gateway may say more than is known here.

The same models as in gateway/schemas.py and gateway/routes/capabilities.py, which need the server's libraries; a test
keeps them alike. Fields that are not known here are kept, and written out again by `model_dump`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

ENDED = frozenset({"done", "failed", "dead", "cancelled"})


class Answer(BaseModel):
    """Any answer, or a part of one."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)


class Links(Answer):
    """Where to go from here, as paths on the gateway."""

    status: str = ""
    result: str = ""


class Accepted(Answer):
    """A POST was taken in: the job is there, and will be worked on."""

    task_id: str
    status: str
    deduplicated_from: str | None = None
    links: Links = Links()


class Failure(Answer):
    """Why a job ended without a result."""

    stage: str | None = None
    code: str
    message: str = ""
    errors: list[dict[str, Any]] = Field(default_factory=list)


class StageStatus(Answer):
    """One stage: where it stands, how long it waited and how long it ran."""

    state: str
    attempts: int = 0
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    queue_wait_ms: int | None = None
    run_ms: int | None = None
    worker: str | None = None
    error: str | None = None


class RenditionStatus(Answer):
    """One derived image; `filename` is empty where an older gateway does not say it."""

    url: str = ""
    filename: str = ""
    media_type: str = ""
    format: str
    width: int
    height: int
    bytes: int
    sha256: str


class OriginalStatus(Answer):
    """The upload, as it came in."""

    name: str | None = None
    media_type: str = ""
    bytes: int = 0
    sha256: str = ""
    width: int | None = None
    height: int | None = None


class JobBase(Answer):
    """What a job and its summary say alike."""

    task_id: str
    kind: str
    status: str
    created_at: datetime | None = None
    finished_at: datetime | None = None
    failure: Failure | None = None
    links: Links = Links()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it, also where its status is a word from the future."""
        return self.status in ENDED or self.finished_at is not None


class JobStatus(JobBase):
    """The whole job, stage by stage."""

    progress: float = 0.0
    lane: str = "express"
    generation: int = 0
    updated_at: datetime | None = None
    original: OriginalStatus = OriginalStatus()
    operation: dict[str, Any] = Field(default_factory=dict)
    source_task_id: str | None = None
    deduplicated_from: str | None = None
    stages: dict[str, StageStatus] = Field(default_factory=dict)
    renditions: dict[str, RenditionStatus] = Field(default_factory=dict)
    summary: dict[str, Any] | None = None


class JobSummary(JobBase):
    """One job in a list."""

    name: str | None = None


class JobPage(Answer):
    """A page of jobs, from the youngest; `next` is the cursor of the page after it, None on the last."""

    jobs: list[JobSummary]
    next: str | None = None


class Capabilities(Answer):
    """The limits and formats in force."""

    limits: dict[str, int] = Field(default_factory=dict)
    accepts: dict[str, str] = Field(default_factory=dict)
    formats: list[str] = Field(default_factory=list)
    default_quality: dict[str, int] = Field(default_factory=dict)
    renditions: dict[str, int] = Field(default_factory=dict)
    operations: list[str] = Field(default_factory=list)
    result_seconds: float = 0.0
    idempotency_seconds: float = 0.0
    refusals: dict[str, str] = Field(default_factory=dict)


class Check(Answer):
    """One dependency of the gateway."""

    ok: bool
    ms: float = 0.0
    error: str | None = None


class Readiness(Answer):
    """Whether uploads are taken: `ready`, `degraded` (taken, and waiting) or `unavailable`."""

    status: str
    checks: dict[str, Check] = Field(default_factory=dict)

    @property
    def accepts_uploads(self) -> bool:
        """Whether an upload would be accepted now."""
        return self.status in {"ready", "degraded"}

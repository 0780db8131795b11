"""Models of the gateway's answers. They are lenient: a newer gateway may send more fields and states.

Unknown fields are kept, and `model_dump` writes them again. The models repeat those of gateway/schemas.py and
gateway/routes/capabilities.py, because those need the server's libraries. A test compares the fields.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

ENDED = frozenset({"done", "failed", "dead", "cancelled"})


class Answer(BaseModel):
    """The base class of all answers and their parts."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)


class Links(Answer):
    """Paths of a job on the gateway."""

    status: str = ""
    result: str = ""


class Accepted(Answer):
    """The answer to a POST: the gateway has stored the job.

    `deduplicated_from` is the id of an earlier job whose results were copied, if any.
    """

    task_id: str
    status: str
    deduplicated_from: str | None = None
    links: Links = Links()


class Failure(Answer):
    """Why a job ended without a result. `errors` has every broken rule."""

    stage: str | None = None
    code: str
    message: str = ""
    errors: list[dict[str, Any]] = Field(default_factory=list)


class StageStatus(Answer):
    """One stage of a job: its state, attempts, times and worker. Durations are in milliseconds."""

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
    """One rendition; sizes in pixels and bytes, `sha256` in hex. An older gateway sends no `filename`."""

    url: str = ""
    filename: str = ""
    media_type: str = ""
    format: str
    width: int
    height: int
    bytes: int
    sha256: str


class OriginalStatus(Answer):
    """The image that was uploaded; sizes in pixels and bytes, `sha256` in hex."""

    name: str | None = None
    media_type: str = ""
    bytes: int = 0
    sha256: str = ""
    width: int | None = None
    height: int | None = None


class JobBase(Answer):
    """The fields that a job and a job summary have in common."""

    task_id: str
    kind: str
    status: str
    created_at: datetime | None = None
    finished_at: datetime | None = None
    failure: Failure | None = None
    links: Links = Links()

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended. A job with an unknown status has ended if it has a `finished_at`."""
        return self.status in ENDED or self.finished_at is not None


class JobStatus(JobBase):
    """The whole job, with its stages and renditions by name.

    `progress` is the share of stages that are done, 0 to 1; `generation` is how often the job was dispatched again.
    """

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
    """A page of jobs, newest first. `next` is the cursor of the next page; None on the last page."""

    jobs: list[JobSummary]
    next: str | None = None


class Capabilities(Answer):
    """The gateway's limits, formats and failure codes.

    `accepts` has the media type of each input format; `formats` are the output formats; `renditions` has the long edge
    of each preview in pixels; `refusals` has the message of each code that a job may fail with because of its image.
    Results and idempotency keys are kept for `result_seconds` and `idempotency_seconds`.
    """

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
    """The check of one dependency of the gateway; `ms` is its duration."""

    ok: bool
    ms: float = 0.0
    error: str | None = None


class Readiness(Answer):
    """Whether the gateway accepts uploads: `ready`, `degraded` (accepted, but processed later) or `unavailable`."""

    status: str
    checks: dict[str, Check] = Field(default_factory=dict)

    @property
    def accepts_uploads(self) -> bool:
        """Whether the gateway accepts uploads now."""
        return self.status in {"ready", "degraded"}

"""Wire shapes: what the API says, and how a job document becomes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from pipeline import rendition_headers
from pipeline.routing import FINALIZE, VALIDATE
from pipeline.stage_order import stage_by_rendition
from storage.clock import now_ms
from storage.documents import Failure, Job, JobState, Kind, Lane, Operation, StageRecord, StageState


class Links(BaseModel):
    """Where to go from here."""

    status: str
    result: str

    @classmethod
    def of(cls, task_id: str) -> Links:
        """Return the links of a job."""
        return cls(status=f"/task-status/{task_id}", result=f"/result/{task_id}")


class Accepted(BaseModel):
    """The answer to an upload: it is stored, and it will be worked on."""

    task_id: str = Field(examples=["019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"])
    status: JobState = Field(examples=["accepted"])
    deduplicated_from: str | None = Field(None, description="The job whose results were copied, where that is set.")
    links: Links


class StageStatus(BaseModel):
    """One stage: where it stands, how long it waited and how long it ran."""

    state: StageState
    attempts: int
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    queue_wait_ms: int | None
    run_ms: int | None
    worker: str | None
    error: str | None

    @classmethod
    def of(cls, record: StageRecord, *, until_ms: int) -> StageStatus:
        """Return what a person may see of a stage; what has no end yet has lasted until `until_ms`."""
        return cls(
            state=record.state,
            attempts=record.attempts,
            queued_at=_to_datetime(record.queued_ms),
            started_at=_to_datetime(record.started_ms),
            finished_at=_to_datetime(record.finished_ms),
            queue_wait_ms=_duration_ms(record.queued_ms, record.started_ms or until_ms),
            run_ms=_duration_ms(record.started_ms, record.finished_ms or until_ms),
            worker=record.worker,
            error=record.error,
        )


class RenditionStatus(BaseModel):
    """One derived image, once it is made."""

    url: str
    filename: str = Field(
        description="The name to save it under, as in `Content-Disposition`: the upload's, what was made of it, and "
        "the usual extension.",
        examples=["photo-small.jpg", "photo-crop.webp"],
    )
    media_type: str
    format: str
    width: int
    height: int
    bytes: int
    sha256: str


class OriginalStatus(BaseModel):
    """The upload, as it came in."""

    name: str | None
    media_type: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None


class JobStatus(BaseModel):
    """The whole job, stage by stage."""

    task_id: str
    kind: Kind
    status: JobState
    progress: float = Field(description="Stages done out of all, 0 to 1.", ge=0, le=1)
    lane: Lane = Field(description="bulk: the job is heavy, or one of a burst, and lets others go ahead.")
    generation: int = Field(description="How often the job was sent to the workers again.")
    created_at: datetime
    updated_at: datetime | None
    finished_at: datetime | None
    original: OriginalStatus
    operation: Operation
    source_task_id: str | None
    deduplicated_from: str | None
    failure: Failure | None
    stages: dict[str, StageStatus]
    renditions: dict[str, RenditionStatus]
    summary: dict[str, Any] | None = Field(description="What finalize noted: renditions, bytes and ratio.")
    links: Links

    @classmethod
    def of(cls, job: Job) -> JobStatus:
        """Return what a person may see of a job."""
        done = sum(record.state is StageState.DONE for record in job.stages.values())
        facts = job.stages[VALIDATE].result or {}
        until_ms = job.finished_ms or now_ms()
        return cls(
            task_id=job.id,
            kind=job.kind,
            status=job.state,
            progress=round(done / len(job.stages), 3),
            lane=job.lane,
            generation=job.generation,
            created_at=job.created_at,
            updated_at=_to_datetime(job.updated_ms),
            finished_at=_to_datetime(job.finished_ms),
            original=OriginalStatus(
                **job.original.model_dump(exclude={"blob"}),
                width=facts.get("width"),
                height=facts.get("height"),
            ),
            operation=job.operation,
            source_task_id=job.source_task_id,
            deduplicated_from=job.deduplicated_from,
            failure=job.failure,
            stages={name: StageStatus.of(record, until_ms=until_ms) for name, record in job.stages.items()},
            renditions=_renditions(job),
            summary=job.stages[FINALIZE].result,
            links=Links.of(job.id),
        )


class JobSummary(BaseModel):
    """One job in a list."""

    task_id: str
    kind: Kind
    status: JobState
    created_at: datetime
    finished_at: datetime | None
    name: str | None
    failure: Failure | None
    links: Links

    @classmethod
    def of(cls, job: Job) -> JobSummary:
        """Return what a list shows of a job."""
        return cls(
            task_id=job.id,
            kind=job.kind,
            status=job.state,
            created_at=job.created_at,
            finished_at=_to_datetime(job.finished_ms),
            name=job.original.name,
            failure=job.failure,
            links=Links.of(job.id),
        )


class JobPage(BaseModel):
    """A page of jobs, from the youngest; `next` is the cursor of the page after it, null on the last."""

    jobs: list[JobSummary]
    next: str | None


class Check(BaseModel):
    """One dependency: whether it answered, and in what time."""

    ok: bool
    ms: float
    error: str | None = None


class Readiness(BaseModel):
    """Whether uploads are taken. Without a broker they are, and wait: that is `degraded`."""

    status: str
    checks: dict[str, Check]


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(examples=["urn:darkroom:problem:unsupported_format"])
    title: str = Field(examples=["Unsupported Media Type"])
    status: int = Field(examples=[415])
    code: str = Field(examples=["unsupported_format"])
    detail: str
    request_id: str | None = Field(None, description="What the answer's X-Request-ID says too; our logs know it.")
    errors: list[dict[str, Any]] | None = None


def _renditions(job: Job) -> dict[str, RenditionStatus]:
    if not has_renditions(job):
        return {}
    made = {name: job.stages[stage] for name, stage in stage_by_rendition(job).items()}
    return {
        name: _rendition(job, name, record.result)
        for name, record in made.items()
        if record.state is StageState.DONE and record.result
    }


def _rendition(job: Job, name: str, made: dict[str, Any]) -> RenditionStatus:
    filename = rendition_headers.filename(job, name, format=made["format"])
    return RenditionStatus(url=f"/result/{job.id}/{name}", filename=filename, **made)


def has_renditions(job: Job) -> bool:
    """Whether what was made of the job can be had: it has not failed and has not expired."""
    return job.state in (JobState.PROCESSING, JobState.DONE) and job.blobs_removed_ms is None


def _to_datetime(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def _duration_ms(start_ms: int | None, stop_ms: int) -> int | None:
    """Return the time between two moments, if it has begun."""
    return None if start_ms is None else max(0, stop_ms - start_ms)

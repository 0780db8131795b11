"""The models of the API's answers, and how to build them from a job document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from gateway.export_schemas import ExportedObject, list_exports
from gateway.image_schemas import JobPlaceholder, OriginalStatus, Placeholder, SourceStatus
from gateway.openapi.numbers import Count, Milliseconds, Positive
from gateway.public_errors import explain_error, public_failure
from gateway.rendition_schemas import Preview, RenditionStatus, build_renditions
from gateway.times import to_datetime
from pipeline.results import served_job
from pipeline.routing import FINALIZE
from storage.clock import now_ms
from storage.documents import Failure, Job, JobState, Kind, Lane, Operation, PresetReference, StageRecord, StageState


class Links(BaseModel):
    """Where to follow the job and where to fetch its result."""

    status: str = Field(examples=["/task-status/019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"])
    result: str = Field(examples=["/result/019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"])

    @classmethod
    def of(cls, job_id: str, *, root_path: str) -> Links:
        """Return the links of a job."""
        return cls(status=f"{root_path}/task-status/{job_id}", result=f"{root_path}/result/{job_id}")


class FieldWarning(BaseModel):
    """A field that was ignored, as this route does not know it."""

    pointer: str = Field(examples=["/caption"])
    rule: str = Field(examples=["unknown"])
    message: str


class Accepted(BaseModel):
    """The accepted job: its upload is stored, or will be fetched, and will be processed."""

    task_id: str = Field(examples=["019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"])
    status: JobState = Field(examples=["accepted"])
    deduplicated_from: str | None = Field(
        None, description="The earlier job whose results were copied: it had the same bytes and request."
    )
    view_token: str | None = Field(
        None,
        description="A token that reads this job, as the query parameter `token` of its links. null where the owner of "
        "the API key has no signing secret.",
    )
    links: Links
    warnings: list[FieldWarning] = Field(
        default_factory=list, description="The fields that were ignored, each with the reason. Empty if there are none."
    )


class Reprocessing(Accepted):
    """The job whose next revision has begun: its results stay until the new ones are complete."""

    revision: Positive = Field(description="How often the job has been reprocessed, this time included.")
    preset: PresetReference | None = Field(description="The preset of the new results. null for an operation.")


class CreatedUpload(BaseModel):
    """The body of the answer to the creation of a resumable upload. The rest is in its headers."""

    warnings: list[FieldWarning] = Field(
        description="The fields that were ignored, each with the reason. Empty if there are none."
    )


class StageStatus(BaseModel):
    """One stage: its state, how long it waited and how long it ran."""

    state: StageState
    attempts: Count
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    queue_wait_ms: Milliseconds | None
    run_ms: Milliseconds | None
    worker: str | None
    error: str | None = Field(description="Why the last run did not complete the stage, in a sentence.")
    error_code: str | None = Field(description="The same, as a stable code.", examples=["infrastructure_error"])

    @classmethod
    def of(cls, record: StageRecord, *, until_ms: int, failure: Failure | None = None) -> StageStatus:
        """Build the public view of a stage. Durations that have not ended are counted until `until_ms`."""
        code, sentence = explain_error(record, failure)
        return cls(
            state=record.state,
            attempts=record.claims,
            queued_at=to_datetime(record.queued_ms),
            started_at=to_datetime(record.started_ms),
            finished_at=to_datetime(record.finished_ms),
            queue_wait_ms=_duration_ms(record.queued_ms, record.started_ms or until_ms),
            run_ms=_duration_ms(record.started_ms, record.finished_ms or until_ms),
            worker=record.worker,
            error=sentence,
            error_code=code,
        )


class JobStatus(BaseModel):
    """One job, with its stages and renditions."""

    task_id: str
    kind: Kind
    status: JobState
    progress: float = Field(description="The share of stages that are done, from 0 to 1.", ge=0, le=1)
    lane: Lane = Field(
        description="`bulk` for a large file or one of a burst: it waits in a queue apart from `express` jobs."
    )
    generation: Count = Field(description="How often the job was dispatched to the workers again.")
    created_at: datetime
    updated_at: datetime | None
    finished_at: datetime | None
    original: OriginalStatus
    source: SourceStatus | None = Field(description="Where the original is fetched from. null for an upload.")
    operation: Operation
    preset: PresetReference | None = Field(description="The preset of the job, as it was used. null for an operation.")
    revision: Count = Field(
        description="How often the job was reprocessed. While it is processed again, `renditions`, `summary` and the "
        "facts of the original are those from before, and all the rest is of the new revision."
    )
    reprocessed_at: datetime | None = Field(description="When the last reprocessing began. null before the first.")
    reprocess_failure: Failure | None = Field(
        description="Why the last reprocessing failed: the results are those from before it. null if it did not."
    )
    source_task_id: str | None
    parent_id: str | None = Field(
        description="The job whose original an image on demand is made of. null for all other kinds."
    )
    deduplicated_from: str | None
    failure: Failure | None
    placeholder: JobPlaceholder
    metadata: dict[str, str] = Field(description="What the upload token that submitted the job says of it.")
    stages: dict[str, StageStatus]
    renditions: dict[str, RenditionStatus]
    exports: list[ExportedObject] = Field(
        description="The objects that the renditions were also put into, in the bucket that the preset names."
    )
    summary: dict[str, Any] | None = Field(description="The result of the finalize stage: renditions, bytes and ratio.")
    links: Links

    @classmethod
    def of(cls, job: Job, *, root_path: str) -> JobStatus:
        """Build the public view of a job. Its links begin with the root path."""
        done_count = sum(record.state is StageState.DONE for record in job.stages.values())
        until_ms, failure = job.finished_ms or now_ms(), public_failure(job)
        return cls(
            task_id=job.id,
            kind=job.kind,
            status=job.state,
            progress=round(done_count / len(job.stages), 3),
            lane=job.lane,
            generation=job.generation,
            created_at=job.created_at,
            updated_at=to_datetime(job.updated_ms),
            finished_at=to_datetime(job.finished_ms),
            original=OriginalStatus.of(job),
            source=SourceStatus.of(job),
            operation=job.operation,
            preset=job.operation.preset,
            revision=job.revision,
            reprocessed_at=to_datetime(job.reprocessed_ms),
            reprocess_failure=job.reprocess_failure,
            source_task_id=job.source_task_id,
            parent_id=job.parent_id,
            deduplicated_from=job.deduplicated_from,
            failure=failure,
            placeholder=Placeholder.of(job),
            metadata=job.metadata,
            stages={
                name: StageStatus.of(record, failure=failure, until_ms=until_ms) for name, record in job.stages.items()
            },
            renditions=build_renditions(job, root_path),
            exports=list_exports(job),
            summary=served_job(job).stages[FINALIZE].result,
            links=Links.of(job.id, root_path=root_path),
        )


class JobSummary(BaseModel):
    """One job in a list."""

    task_id: str
    kind: Kind
    status: JobState
    created_at: datetime
    finished_at: datetime | None
    reprocessed_at: datetime | None
    name: str | None
    failure: Failure | None
    placeholder: JobPlaceholder
    preview: Preview | None = Field(description="The smallest rendition that can be fetched; null if there is none.")
    metadata: dict[str, str]
    links: Links

    @classmethod
    def of(cls, job: Job, *, root_path: str) -> JobSummary:
        """Build the list entry of a job."""
        return cls(
            task_id=job.id,
            kind=job.kind,
            status=job.state,
            created_at=job.created_at,
            finished_at=to_datetime(job.finished_ms),
            reprocessed_at=to_datetime(job.reprocessed_ms),
            name=job.original.name,
            failure=public_failure(job),
            placeholder=Placeholder.of(job),
            preview=Preview.of(job, root_path=root_path),
            metadata=job.metadata,
            links=Links.of(job.id, root_path=root_path),
        )


class JobPage(BaseModel):
    """A page of jobs, newest first. `next` is the cursor of the next page; it is null on the last page."""

    jobs: list[JobSummary]
    next: str | None


class Check(BaseModel):
    """One dependency: whether it answered, and in how many milliseconds."""

    ok: bool
    ms: float = Field(json_schema_extra={"minimum": 0})
    error: str | None = None


class Readiness(BaseModel):
    """Whether uploads are accepted. `degraded`: the broker is down or full, and jobs wait; or the disk is full.

    While the check `disk` fails, uploads are answered 503 (`storage_full`). All other requests are served. While the
    check `presets` fails, the file of presets has mistakes or could not be loaded, and earlier presets are in force.
    """

    status: str
    checks: dict[str, Check]


class BrokenRule(BaseModel):
    """One rule that the request, or its image, breaks."""

    pointer: str = Field(description="A JSON pointer to the value that breaks the rule.", examples=["/quality"])
    rule: str = Field(examples=["maximum"])
    message: str
    limit: int | str | None = Field(None, description="What the rule allows.", examples=[100])
    actual: int | str | None = Field(None, description="The value.", examples=[101])


class ProblemDocument(BaseModel):
    """An error answer (RFC 9457)."""

    type: str = Field(examples=["urn:darkroom:problem:unsupported_format"])
    title: str = Field(examples=["Unsupported Media Type"])
    status: int = Field(examples=[415], json_schema_extra={"minimum": 400, "maximum": 599})
    code: str = Field(examples=["unsupported_format"])
    detail: str
    request_id: str | None = Field(
        None, description="The same as the header `X-Request-ID`. The log lines about this request have it too."
    )
    errors: list[BrokenRule] | None = Field(None, description="Every rule that the request, or its image, breaks.")


def _duration_ms(start_ms: int | None, stop_ms: int) -> int | None:
    """Return the time between the two; None if it has not started."""
    return None if start_ms is None else max(0, stop_ms - start_ms)

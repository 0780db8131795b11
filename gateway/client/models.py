"""Models of the gateway's answers. They are lenient: a newer gateway may send more fields and states.

Unknown fields are kept, and `model_dump` writes them again. Ids, and names that become part of a path, are not lenient:
the server may be hostile. The models repeat those of gateway/schemas.py and gateway/routes/capabilities.py, because
those need the server's libraries. A test compares the fields.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

TaskId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""A UUID. It becomes part of addresses."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
"""The name of a rendition, a stage, a kind of job or a format. It becomes part of file names and addresses."""
Integer = Annotated[int, Field(ge=-(2**53), le=2**53)]
"""An integer that is exact in JSON, and not too large for a float."""
Time = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC))]
"""A time that every time zone can represent."""

ENDED = frozenset({"done", "failed", "dead", "cancelled"})


class Answer(BaseModel):
    """The base class of all answers and their parts."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True, allow_inf_nan=False)


class Links(Answer):
    """Paths of a job on the gateway."""

    status: str = ""
    result: str = ""


class FieldWarning(Answer):
    """A field that the gateway ignored."""

    pointer: str = ""
    rule: str = ""
    message: str = ""


class Accepted(Answer):
    """The answer to a POST: the gateway has stored the job.

    `deduplicated_from` is the id of an earlier job whose results were copied, if any. `view_token` reads this job, as
    the query parameter `token` of its links; None where the gateway signs no tokens. `warnings` names the fields that
    the gateway ignored.
    """

    task_id: TaskId
    status: str
    deduplicated_from: str | None = None
    view_token: str | None = Field(None, repr=False)
    links: Links = Links()
    warnings: list[FieldWarning] = Field(default_factory=list)


class PresetReference(Answer):
    """The preset that results come from, as it was when they were made."""

    name: str = ""
    version: str = ""


class Reprocessing(Accepted):
    """The answer to a request to reprocess a job. Its results stay until the new ones are complete."""

    revision: Integer = 0
    preset: PresetReference | None = None


class Token(Answer):
    """A new token. `token_id` is the id of an upload token, which the jobs that it makes keep."""

    token: str = Field(repr=False)
    expires_at: Time
    token_id: str | None = None


class Failure(Answer):
    """Why a job ended without a result. `errors` has every broken rule."""

    stage: str | None = None
    code: str
    message: str = ""
    errors: list[dict[str, Any]] = Field(default_factory=list)


class StageStatus(Answer):
    """One stage of a job: its state, attempts, times and worker. Durations are in milliseconds."""

    state: str
    attempts: Integer = 0
    queued_at: Time | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    queue_wait_ms: Integer | None = None
    run_ms: Integer | None = None
    worker: str | None = None
    error: str | None = None
    error_code: str | None = None


class VariantStatus(Answer):
    """One file of a rendition: a format at a density (`dpr`). Its `url` has a version: it may be cached for ever."""

    url: str = ""
    format: Name
    media_type: str = ""
    dpr: float = 1.0
    width: Integer
    height: Integer
    bytes: Integer
    sha256: str


class RenditionStatus(Answer):
    """One rendition; sizes in pixels and bytes, `sha256` in hex: those of the file that every client shows.

    `variants` are all its files; `srcset`, by format, and `picture` are HTML for pages. An older gateway sends no
    `filename`, and none of the fields after `sha256`.
    """

    url: str = ""
    filename: str = ""
    media_type: str = ""
    format: Name
    width: Integer
    height: Integer
    bytes: Integer
    sha256: str
    version: str = ""
    variants: list[VariantStatus] = Field(default_factory=list)
    srcset: dict[str, str] = Field(default_factory=dict)
    picture: str = ""


class ColorSpaceStatus(Answer):
    """The colour space that an image states, and what states it: `icc`, `cicp`, `gama` or `none`."""

    name: str = ""
    source: str = ""


class OriginalStatus(Answer):
    """The image that was uploaded or fetched; sizes in pixels and bytes, `sha256` in hex.

    Until it is fetched, it has 0 bytes. The fields after `sha256` are None until the image is validated, and so is what
    an older gateway does not send.
    """

    name: str | None = None
    media_type: str = ""
    bytes: Integer = 0
    sha256: str = ""
    width: Integer | None = None
    height: Integer | None = None
    format: str | None = None
    frames: Integer | None = None
    orientation: Integer | None = None
    bit_depth: Integer | None = None
    color_space: ColorSpaceStatus | None = None
    has_alpha: bool | None = None
    has_gps: bool | None = None


class SourceStatus(Answer):
    """Where an image is fetched from: a `url` without its query, or an object in a bucket, with its `version`."""

    url: str | None = None
    key: str | None = None
    version: str | None = None


class Placeholder(Answer):
    """What a page can show until it has the image: its ThumbHash in base64, its BlurHash and its colour (#rrggbb)."""

    thumbhash: str = ""
    blurhash: str = ""
    color: str = ""


class JobBase(Answer):
    """The fields that a job and a job summary have in common.

    Previews have a `placeholder` as soon as their original is decoded. `metadata` is what the upload token that
    submitted the job says of it. An older gateway sends neither.
    """

    task_id: TaskId
    kind: Name
    status: str
    created_at: Time | None = None
    finished_at: Time | None = None
    reprocessed_at: Time | None = None
    failure: Failure | None = None
    placeholder: Placeholder | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    links: Links = Links()

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended. A job with an unknown status has ended if it has a `finished_at`."""
        return self.status in ENDED or self.finished_at is not None


class ExportedObject(Answer):
    """One file of a rendition in the bucket of a destination, which the preset names."""

    rendition: str = ""
    format: str = ""
    dpr: float = 1
    destination: str = ""
    key: str = ""
    bytes: Integer = 0


class JobStatus(JobBase):
    """The whole job, with its stages and renditions by name.

    `progress` is the share of stages that are done, 0 to 1; `generation` is how often the job was dispatched again;
    `revision` is how often it was reprocessed. If the last reprocessing failed, `reprocess_failure` says why, and the
    results are those from before it. `source` is where the original is fetched from; None for an upload. `exports` are
    the objects that results were also put into; an older gateway sends none.
    """

    progress: float = Field(0.0, ge=0, le=1)
    lane: str = "express"
    generation: Integer = 0
    updated_at: Time | None = None
    original: OriginalStatus = OriginalStatus()
    source: SourceStatus | None = None
    operation: dict[str, Any] = Field(default_factory=dict)
    preset: PresetReference | None = None
    revision: Integer = 0
    reprocess_failure: Failure | None = None
    source_task_id: str | None = None
    parent_id: str | None = None
    deduplicated_from: str | None = None
    stages: dict[Name, StageStatus] = Field(default_factory=dict)
    renditions: dict[Name, RenditionStatus] = Field(default_factory=dict)
    exports: list[ExportedObject] = Field(default_factory=list)
    summary: dict[str, Any] | None = None


class Preview(Answer):
    """The smallest rendition of a job: its address, and its size in bytes."""

    url: str = ""
    bytes: Integer = 0


class JobSummary(JobBase):
    """One job in a list. An older gateway sends no `preview`."""

    name: str | None = None
    preview: Preview | None = None


class JobPage(Answer):
    """A page of jobs, newest first. `next` is the cursor of the next page; None on the last page."""

    jobs: list[JobSummary]
    next: str | None = None

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.next is not None and not self.jobs:
            raise ValueError("A page without jobs has a next page.")
        return self


class Capabilities(Answer):
    """The gateway's limits, formats and failure codes.

    `accepts` has the media type of each input format; `formats` are the output formats; `renditions` has the long edge
    of each preview in pixels; `refusals` has the message of each code that a job may fail with because of its image.
    `presets` are the names of those that the caller may use, `preset_limits` limits on them, `steps` names of steps.
    Results and idempotency keys are kept for `result_seconds` and `idempotency_seconds`.
    """

    limits: dict[str, Integer] = Field(default_factory=dict)
    accepts: dict[str, str] = Field(default_factory=dict)
    formats: list[str] = Field(default_factory=list)
    default_quality: dict[str, Integer] = Field(default_factory=dict)
    renditions: dict[str, Integer] = Field(default_factory=dict)
    presets: list[str] = Field(default_factory=list)
    preset_limits: dict[str, Integer] = Field(default_factory=dict)
    steps: list[str] = Field(default_factory=list)
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
    """Whether the gateway works: `ready`, `degraded` (jobs wait, or its disk is full) or `unavailable`."""

    status: str
    checks: dict[str, Check] = Field(default_factory=dict)

    @property
    def accepts_uploads(self) -> bool:
        """Whether the gateway accepts uploads now: while its disk is full, it serves results only."""
        disk = self.checks.get("disk")
        return self.status in {"ready", "degraded"} and (disk is None or disk.ok)

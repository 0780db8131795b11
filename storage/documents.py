"""The job document: its states, its parts and their fields, the whole schema in one file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import inf
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit
from uuid import UUID

from beanie import Document
from pydantic import BaseModel, ConfigDict, Field
from pymongo import ASCENDING, IndexModel

from storage.clock import now_ms
from storage.events import OutboxEvent

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEASE_MARGIN_MS = 60_000
"""A lease that ends so long after the longest one is of before the database's clock was set back."""


class JobState(StrEnum):
    """State of a job. It only moves forward, except that a retry and a reprocessing move it back to processing."""

    ACCEPTED = "accepted"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


ACTIVE_STATES = (JobState.ACCEPTED, JobState.PROCESSING)
OUTPUT = "output"
"""Name of the only rendition of an operation."""


class Kind(StrEnum):
    """What a job produces: the previews of an upload, the output of one operation, or an image on demand."""

    PREVIEWS = "previews"
    CROP = "crop"
    GRAYSCALE = "grayscale"
    RESIZE = "resize"
    PROCESS = "process"
    IMAGE = "image"


KINDS_WITH_RENDITIONS = frozenset({Kind.PREVIEWS, Kind.IMAGE})
"""The kinds whose jobs make renditions from one master. All others have one output, made by the stage `transform`."""


class Lane(StrEnum):
    """Which of the two queues of a stage a job's messages take: express, or bulk for heavy files and bursts."""

    EXPRESS = "express"
    BULK = "bulk"


class StageState(StrEnum):
    """State of one stage of a job."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Failure(BaseModel):
    """Why a job ended without a result: the stage, a stable code and a sentence for people."""

    stage: str | None
    """The stage that failed; None when the sweeper gave the job up."""
    code: str
    """A stable name of the reason, for programs: `attempts_exhausted`."""
    message: str
    """The reason in one sentence, for people."""
    errors: list[dict[str, Any]] = Field(default_factory=list, description="Every rule that was broken.")
    """One entry for each rule that the image breaks; empty when the reason is no such rule."""


class Original(BaseModel):
    """The uploaded bytes: where they are stored, and the facts collected while they were received."""

    blob: str
    """Key of the blob. Each job has its own copy, except an image made on demand: it reads that of its parent."""
    name: str | None
    """File name that the client sent; None when it was empty."""
    media_type: str
    """Media type by the first bytes, not by the client's header."""
    bytes: int
    """Size in bytes; 0 until it is fetched."""
    sha256: str
    """SHA-256 of the bytes (hex); duplicates are found by it. Empty until it is fetched."""

    @property
    def is_stored(self) -> bool:
        """Whether the bytes are stored: an upload's are, before its job is inserted."""
        return bool(self.sha256)


class Source(BaseModel):
    """Where the original is fetched from, for a job that was submitted without its bytes."""

    address: str = Field(repr=False)
    """A URL, or `s3://bucket/path/key`. The query of a URL may be a secret.

    So it is removed once it is not needed any more: the original is fetched, or can no longer be.
    """
    key: str | None = None
    """The object in a bucket, as the client names it; None for a URL."""
    version: str | None = None
    """Version of the object; None: the current one."""

    @property
    def is_url(self) -> bool:
        """Whether it is a URL, and no object in a bucket."""
        return urlsplit(self.address).scheme.lower() in {"http", "https"}

    @property
    def public_address(self) -> str:
        """The address without its query and fragment; that of an object has neither."""
        if not self.is_url:
            return self.address
        return urlsplit(self.address)._replace(query="", fragment="").geturl()


class DestinationReference(BaseModel):
    """Where renditions are also put. The address and the keys of the bucket are in the settings, by this name."""

    name: str
    key: str
    """The template of the keys of objects, such as `{metadata.sku}/{rendition}.{ext}`."""
    cache_control: str | None = None
    """The header `Cache-Control` of the objects."""


class PresetReference(BaseModel):
    """The preset of a job, as it was when the job was accepted or reprocessed."""

    name: str
    version: str
    """Hash (hex) of the preset's canonical form, with the bytes of the image files that it names."""


class AssetReference(BaseModel):
    """An image file that steps name, as it was when the job was accepted or reprocessed."""

    name: str
    sha256: str
    """Hash (hex) of its bytes; `asset_key` is where they are."""


def list_assets(digests: Mapping[str, str]) -> list[AssetReference]:
    """Return the image files with these SHA-256 (hex), by name, as a document stores them."""
    return [AssetReference(name=name, sha256=digest) for name, digest in sorted(digests.items())]


def digests_of(assets: Iterable[AssetReference]) -> dict[str, str]:
    """Return the SHA-256 (hex) of each image file by its name."""
    return {asset.name: asset.sha256 for asset in assets}


class Operation(BaseModel):
    """What the client requests: the encoding, and the long edge of each preview or the operation's parameters."""

    renditions: dict[str, Annotated[int, Field(json_schema_extra={"minimum": 1})] | dict[str, Any]] = Field(
        default_factory=dict
    )
    """Each preview by its name: its long edge in pixels, or its whole definition; empty for an operation."""
    preset: PresetReference | None = None
    """The preset that the renditions come from; None for an operation, and for jobs from before there were presets."""
    assets: list[AssetReference] = Field(default_factory=list)
    """The image files that steps name, sorted by name. It is no map: some servers store no name with a dot."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the operation, such as the box of a crop; empty for previews."""
    format: str = "auto"
    """Format of the results; `auto` chooses one by the image."""
    quality: Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": 100})] | None = None
    """Encoder quality, 1 to 100; None: the default of the format."""
    background: str = "#ffffff"
    """Colour of padding, and of what is behind transparent pixels in a format without transparency.

    It is #rrggbb, or #rrggbb00 for padding that is transparent where the format allows it.
    """
    animated: bool = False
    """Whether previews of an animated original keep its frames."""
    destination: DestinationReference | None = None
    """Where renditions are also put before the job is done; None: nowhere."""

    @property
    def asset_digests(self) -> dict[str, str]:
        """SHA-256 (hex) of each image file that steps name, by its name."""
        return digests_of(self.assets)

    def requests_same(self, other: Operation) -> bool:
        """Whether both make the same of an original, whatever the preset is called that says so."""
        return self.model_copy(update={"preset": other.preset}) == other


MESSAGE_ID = "task_id"
"""The stored name of `StageRecord.message_id`."""
ATTEMPTS_PER_REVISION = 1_000_000
"""The attempts of a revision begin at so many for each revision before it: far more than a stage ever has.

So a run of an earlier revision holds no stage of a later one, and writes no blob that a later one has, also where a
worker of an older version runs it, which knows attempts and no revisions.
"""


class StageRecord(BaseModel):
    """One stage of one job: its state, the run that holds it and its result."""

    model_config = ConfigDict(populate_by_name=True)

    state: StageState = StageState.PENDING
    """Pending until a run claims the stage, then running until it is done, failed, or released to pending again."""
    attempts: int = 0
    """The fencing token of the current run. Each claim adds 1; it is never reset, and each revision begins higher."""
    retries: int = 0
    """Number of `attempts` that do not count towards the limit.

    These are the runs that the infrastructure ended, those out of order, those that found themselves fenced, and all
    runs before the job's last retry.
    """
    message_id: str | None = Field(default=None, alias=MESSAGE_ID)
    """Id of the Celery message that claimed the stage last; None before the first claim."""
    worker: str | None = None
    """Celery's node name of the worker that claimed the stage last; None before the first claim."""
    lease_ms: int = 0
    """When the lease of the current run ends (epoch ms); 0 while no run holds the stage."""
    queued_ms: int | None = None
    """When the stage became due, was released, or was reset for a retry (epoch ms); None before that."""
    started_ms: int | None = None
    """When the last run claimed the stage (epoch ms); None before the first claim and after a release."""
    finished_ms: int | None = None
    """When the stage was done or failed (epoch ms); None before that."""
    result: dict[str, Any] | None = None
    """What the stage recorded for later stages and clients, such as blob keys and sizes; None until it is done."""
    error: str | None = None
    """Code of why the last run that ended did not complete the stage; None when it did, or before the first run ends.

    Earlier versions stored a text, with names of buckets and addresses in it: clients must not see it.
    """

    @property
    def claims(self) -> int:
        """Number of claims in this revision of the job."""
        return self.attempts % ATTEMPTS_PER_REVISION

    def reset_for_retry(self, now: int) -> StageRecord:
        """Return the stage reset for a retry: the fencing token keeps counting, but no earlier attempt counts."""
        return StageRecord(attempts=self.attempts, retries=self.attempts, queued_ms=now, error=self.error)


class PreviousResults(BaseModel):
    """The results of a job that is being reprocessed: clients get them until the new ones are complete."""

    operation: Operation
    stages: dict[str, StageRecord]


class JobRecord(BaseModel):
    """One job, from its submission to its end: the source of truth, outbox and stage record in one document."""

    model_config = ConfigDict(populate_by_name=True)

    id: str = Field(alias="_id")
    """The job's id, a UUIDv7; clients know it as `task_id`."""
    kind: Kind
    """What the job produces. Never changes."""
    state: JobState = JobState.ACCEPTED
    """Accepted until the first claim, then processing until the job ends.

    A retry and a reprocessing set it to processing again.
    """
    version: int = 0
    """Number of changes that clients can see. Each adds 1; ETags and event ids are made of it."""
    lane: Lane = Lane.EXPRESS
    """Lane of the job's messages, chosen at submission. Only reprocessing and bulk retries change it."""
    generation: int = 0
    """Number of dispatches after the first. Each adds 1; a failed redispatch is subtracted again."""
    first_generation: int = 0
    """Value of `generation` at submission (0), or at the last retry or reprocessing.

    The limit of redispatches counts from here.
    """
    created_at: datetime = Field(default_factory=lambda: EPOCH + timedelta(milliseconds=now_ms()))
    """When the upload was complete and the job was created (UTC). Never changes."""
    updated_ms: int = Field(default_factory=now_ms)
    """When the job was last updated (epoch ms). Scheduling its dispatch does not count."""
    dispatched_ms: int = Field(default_factory=now_ms)
    """When the job was last dispatched (epoch ms): at submission, redispatch, retry or reprocessing."""
    next_dispatch_ms: int
    """When the sweeper next looks at the job (epoch ms). Claims, stage ends and dispatches move it forward."""
    finished_ms: int | None = None
    """When the job last ended (epoch ms); None while it is active. A retry and a reprocessing set it to None."""
    expiring_ms: int | None = None
    """When the removal of an ended job's blobs began (epoch ms); None before that. No retry is possible then."""
    blobs_removed_ms: int | None = None
    """When the job's blobs were removed (epoch ms); None before that."""
    finalizations: int = 0
    """Number of updates that completed the job: 1 in every job that is done, else 0."""
    original: Original
    """The uploaded bytes. Never changes, except that the stage `fetch` sets it, once."""
    source: Source | None = None
    """Where the stage `fetch` gets the original from; None for an upload."""
    operation: Operation
    """What the client requests. Only reprocessing changes it."""
    failure: Failure | None = None
    """Why the job failed or is dead, else None. A retry and a reprocessing set it to None."""
    limits: dict[str, int] = Field(default_factory=dict)
    """The limits on the original when the job was accepted, by their names; empty in jobs of earlier versions.

    Lower ones that come into force later do not count. A retry and a reprocessing raise them to those in force then.
    """
    owner: str | None = None
    """Owner of the API key that submitted the job; None where no API keys are configured. Never changes."""
    source_task_id: str | None = None
    """Id of the job whose original was copied instead of an upload; None for an upload. Never changes."""
    parent_id: str | None = None
    """Id of the job whose original an image on demand is made of; None for all other kinds. Never changes."""
    deduplicated_from: str | None = None
    """Id of the duplicate whose renditions were copied at submission; None when there was none. Never changes."""
    fingerprint: str | None = None
    """SHA-256 (hex) of kind, bytes, file name and operation: a repeated Idempotency-Key must have the same."""
    token_id: str | None = None
    """Id (`jti`) of the upload token that submitted the job; None for an API key. Never changes."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """What that token says of the job, for the backend that made it. Never changes."""
    received_ms: int | None = None
    """When a resumable upload was complete, or an image on demand first asked for (epoch ms).

    None for an upload in one request. Never changes.
    """
    request_id: str | None = None
    """Id of the POST that submitted the job, for logs. Never changes."""
    traceparent: str | None = None
    """W3C traceparent of that POST's span; None where traces are off. Never changes."""
    revision: int = 0
    """Number of reprocessings. Each adds 1, also one that fails; it is never reset, and runs of another are fenced.

    A deduplicated job begins with that of its duplicate: the names of the blobs are copied with them.
    """
    reprocessed_ms: int | None = None
    """When the last reprocessing began (epoch ms); None before the first."""
    previous: PreviousResults | None = None
    """The results from before the reprocessing that is under way; None when there is none."""
    reprocess_failure: Failure | None = None
    """Why the last reprocessing failed, so that the job still has the results from before it; else None."""
    stages: dict[str, StageRecord]
    """Record of each stage, by stage name. A resize has the name of its rendition."""
    outbox: dict[str, OutboxEvent] = Field(default_factory=dict)
    """Events that are not handed to the deliveries of webhooks yet, by `OutboxEvent.key`."""
    outbox_ms: int | None = None
    """When the last of these happened (epoch ms); None while the outbox is empty."""
    announces_renditions: bool = False
    """Whether each rendition that is done is an event: some webhook wanted that when the job was accepted."""

    @property
    def is_active(self) -> bool:
        """Whether the job has not ended yet."""
        return self.state in ACTIVE_STATES

    @property
    def keeps_blobs(self) -> bool:
        """Whether the removal of the job's blobs has not begun."""
        return self.expiring_ms is None and self.blobs_removed_ms is None

    @property
    def upload_started_ms(self) -> int:
        """When the upload began (epoch ms): ids are UUIDv7, which begin with a timestamp (RFC 9562, section 5.7).

        For a resumable upload, it is when it was complete: it may have paused for hours, which says nothing of the job.
        For an image on demand, it is when it was first asked for: its id begins with the time of its parent.
        """
        return UUID(self.id).int >> 80 if self.received_ms is None else self.received_ms

    @property
    def started_ms(self) -> int:
        """When what the job does now began (epoch ms): its upload, or its last reprocessing."""
        return self.reprocessed_ms or self.upload_started_ms

    @property
    def redispatches(self) -> int:
        """Number of redispatches since the job was submitted, or last retried or reprocessed."""
        return self.generation - self.first_generation

    def reset_for_retry(self, now: int, *, next_dispatch_ms: int) -> Self:
        """Return the job reset for a retry: all its attempts and redispatches are available again.

        `now` and `next_dispatch_ms` are epoch ms. Stages that are done stay done.
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

    def has_live_lease(self, now: int, *, latest_ms: float = inf) -> bool:
        """Whether a run holds one of the stages at `now` (epoch ms). A lease that ends after `latest_ms` is none."""
        return any(s.state is StageState.RUNNING and now < s.lease_ms <= latest_ms for s in self.stages.values())


class Job(JobRecord, Document):
    """A `JobRecord` bound to its MongoDB collection, for the gateway."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # beanie's own is an ObjectId

    class Settings:
        """Collection and indexes."""

        name = "jobs"
        indexes: ClassVar = [
            IndexModel([("state", ASCENDING), ("next_dispatch_ms", ASCENDING)], name="due"),
            IndexModel([("original.sha256", ASCENDING)], name="content"),
            IndexModel([("blobs_removed_ms", ASCENDING)], name="blobs_removed"),
            IndexModel([("outbox_ms", ASCENDING)], name="outbox"),
        ]


ORIGINAL = "original"
"""Name of the blob of an upload; one that is fetched has the attempt at its end."""
ASSETS_FOLDER = "assets"
"""The folder of the image files that presets name. Its name is no job's id, so the tidier leaves it alone."""


def asset_key(digest: str) -> str:
    """Return the key of the image file with this SHA-256 (hex). Its bytes never change."""
    return f"{ASSETS_FOLDER}/{digest}"


def result_blobs(result: Mapping[str, Any] | None) -> set[str]:
    """Return the keys of all blobs that a stage has recorded in its result: its own, and those of its variants."""
    records = [result or {}, *(result or {}).get("variants", ())]
    return {record["blob"] for record in records if record.get("blob")}


def job_folder(job_id: str) -> str:
    """Return the folder in the blob store that holds all blobs of one job."""
    return job_id


def blob_key(job_id: str, name: str) -> str:
    """Return the key of one blob of a job."""
    return f"{job_folder(job_id)}/{name}"

"""The models of bulk actions in requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gateway.bulk.moments import Moment, read_moment
from gateway.claims import JobId
from gateway.openapi.numbers import Count
from gateway.times import to_datetime
from pipeline.presets.definition import PresetName
from storage.bulk_actions import BulkAction, BulkFailure, BulkKind, BulkState
from storage.documents import ACTIVE_STATES, JobState, Kind
from storage.job_filter import JobFilter

MAX_IDS = 10_000
STATES_OF_ACTION: dict[BulkKind, tuple[JobState, ...]] = {
    BulkKind.RETRY: (JobState.FAILED, JobState.DEAD),
    BulkKind.CANCEL: ACTIVE_STATES,
}
"""The states that a filter without any has: others are not for the action."""


class BulkFilter(BaseModel):
    """Which jobs of the caller a bulk action is for: all conditions must hold, and there must be one."""

    model_config = ConfigDict(extra="forbid")

    status: JobState | Annotated[list[JobState], Field(min_length=1)] | None = Field(
        None, description="The status of the jobs, or a list of several."
    )
    kind: Kind | None = None
    preset: PresetName | None = Field(
        None, description="The preset that the jobs have. Jobs from before there were presets have `default`."
    )
    preset_version_not: Annotated[str, Field(pattern="^[0-9a-f]{1,64}$")] | None = Field(
        None, description="Jobs that were made by another version of their preset than this one."
    )
    outdated: Literal[True] | None = Field(
        None, description="Jobs that were made by another version of their preset than the present one."
    )
    since: Moment | None = Field(
        None, description="Jobs whose upload began then or later: a time, or how long ago, such as `30d`."
    )
    until: Moment | None = Field(None, description="Jobs whose upload began before then.")

    @model_validator(mode="after")
    def _check_not_empty(self) -> Self:
        if all(value is None for value in dict(self).values()):
            raise ValueError("an empty filter is for every job: name at least one condition")
        return self

    def build(self, action: BulkKind, preset: str | None) -> JobFilter:
        """Return the filter as it is stored. An action on all states, or kinds, has those that it is possible for."""
        named = (self.status,) if isinstance(self.status, JobState) else tuple(self.status or ())
        return JobFilter(
            states=named or STATES_OF_ACTION.get(action, ()),
            kind=self.kind or (Kind.PREVIEWS if preset is not None else None),
            preset=self.preset,
            preset_version_not=self.preset_version_not,
            is_outdated=bool(self.outdated),
            since_ms=None if self.since is None else read_moment(self.since),
            until_ms=None if self.until is None else read_moment(self.until),
        )


class BulkRequest(BaseModel):
    """What is to be done, and with which jobs: those of a filter, or those that `task_ids` names."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"action": "retry", "filter": {"status": "dead", "since": "1d"}}]},
    )

    action: BulkKind
    filter: BulkFilter | None = None
    task_ids: Annotated[list[JobId], Field(min_length=1, max_length=MAX_IDS)] | None = Field(
        None, description="The ids of the jobs. Ids that the caller has no job of count as failed."
    )
    preset: PresetName | None = Field(
        None, description="The preset that jobs are reprocessed with. By default that of each job, as it is now."
    )
    dry_run: bool = Field(
        default=False, description="Only count: `done` is how many jobs the action would be carried out on."
    )

    @field_validator("dry_run", mode="before")
    @classmethod
    def _check_dry_run(cls, value: object) -> object:
        if not isinstance(value, bool):
            raise ValueError("true or false is needed")  # noqa: TRY004  # pydantic's own errors are ValueErrors
        return value

    @model_validator(mode="after")
    def _check_jobs(self) -> Self:
        if (self.filter is None) == (self.task_ids is None):
            raise ValueError("either a filter or task_ids is needed, and not both")
        if self.preset is not None and self.action is not BulkKind.REPROCESS:
            raise ValueError("preset is only for the action reprocess")
        return self


class BulkLinks(BaseModel):
    """Where to follow the bulk action."""

    status: str = Field(examples=["/bulk/019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"])

    @classmethod
    def of(cls, bulk_id: str, *, root_path: str) -> BulkLinks:
        """Return the links of a bulk action."""
        return cls(status=f"{root_path}/bulk/{bulk_id}")


class BulkAccepted(BaseModel):
    """The accepted bulk action: it will be carried out."""

    bulk_id: str = Field(examples=["019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"])
    status: BulkState = Field(examples=["accepted"])
    total: Count | None = Field(description="How many jobs it will look at. null if counting them took too long.")
    links: BulkLinks


class BulkStatus(BulkAccepted):
    """A bulk action, and how far it has come."""

    action: BulkKind
    preset: str | None = Field(description="The preset that jobs are reprocessed with. null: each with its own.")
    dry_run: bool
    matched: Count = Field(description="Jobs so far that the action is for.")
    done: Count = Field(description="Of these, jobs that it was carried out on; in a dry run, would be.")
    skipped: Count = Field(description="Of these, jobs that needed nothing, such as a job that is being retried.")
    failed: Count = Field(description="Of these, jobs that it is not possible for.")
    failed_by_code: dict[str, Count] = Field(description="The same, by the code of the reason.")
    failures: list[BulkFailure] = Field(description="The first 20 of them, each with its reason.")
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, action: BulkAction, *, root_path: str) -> BulkStatus:
        """Build the public view of a bulk action. Its links begin with the root path."""
        return cls(
            bulk_id=action.id,
            status=action.state,
            total=action.total,
            links=BulkLinks.of(action.id, root_path=root_path),
            action=action.action,
            preset=action.preset,
            dry_run=action.dry_run,
            matched=action.counts.matched,
            done=action.counts.done,
            skipped=action.counts.skipped,
            failed=sum(action.counts.failed.values()),
            failed_by_code=action.counts.failed,
            failures=action.failures,
            created_at=to_datetime(action.created_ms),
            updated_at=to_datetime(action.updated_ms),
            finished_at=to_datetime(action.finished_ms),
        )


class BulkPage(BaseModel):
    """A page of bulk actions, newest first. `next` is the cursor of the next page; it is null on the last page."""

    bulk_actions: list[BulkStatus]
    next: str | None

"""Which jobs a bulk action is for: a query that narrows them down, and the exact answer for one job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from storage.documents import KINDS_WITH_RENDITIONS, JobRecord, JobState, Kind
from storage.job_ids import first_job_id

DEFAULT_PRESET = "default"
"""The preset of uploads from before jobs stored one."""


class JobFilter(BaseModel):
    """Conditions on jobs, all of which must hold; None and empty ones hold for every job."""

    model_config = ConfigDict(frozen=True)

    states: tuple[JobState, ...] = ()
    kind: Kind | None = None
    preset: str | None = None
    preset_version_not: str | None = None
    """Jobs whose results were made by another version of their preset than this one."""
    is_outdated: bool = False
    """Jobs whose results were made by another version of their preset than the bulk action has."""
    since_ms: int | None = None
    """Jobs whose upload began at this time (epoch ms) or later."""
    until_ms: int | None = None
    """Jobs whose upload began before this time (epoch ms)."""

    def build_query(self) -> dict[str, Any]:
        """Return a query that finds every job of the filter, and perhaps others: `matches` decides."""
        query: dict[str, Any] = {"kind": {"$ne": Kind.IMAGE.value}}
        if self.states:
            query["state"] = {"$in": [state.value for state in self.states]}
        if self.kind or self._needs_preset:
            query["kind"] = (self.kind or Kind.PREVIEWS).value
        if self.preset and self.preset != DEFAULT_PRESET:
            query["operation.preset.name"] = self.preset
        bounds = {"$gte": self.since_ms, "$lt": self.until_ms}
        if ids := {operator: first_job_id(ms) for operator, ms in bounds.items() if ms is not None}:
            query["_id"] = ids
        return query

    def matches(self, job: JobRecord, versions: Mapping[str, str]) -> bool:
        """Whether a job is one of those; `versions` are those of the presets, by name."""
        name = job.operation.preset.name if job.operation.preset else DEFAULT_PRESET
        version = job.operation.preset.version if job.operation.preset else None
        return (
            (not self.states or job.state in self.states)
            and self._matches_kind(job.kind)
            and (self.preset is None or name == self.preset)
            and (self.preset_version_not is None or version != self.preset_version_not)
            and (not self.is_outdated or (name in versions and version != versions[name]))
            and (self.since_ms is None or job.id >= first_job_id(self.since_ms))
            and (self.until_ms is None or job.id < first_job_id(self.until_ms))
        )

    def _matches_kind(self, kind: Kind) -> bool:
        if self._needs_preset and kind not in KINDS_WITH_RENDITIONS:
            return False
        if self.kind is None and not self._needs_preset:
            return kind is not Kind.IMAGE  # an image on demand goes with the job that it is made of
        return kind is (self.kind or Kind.PREVIEWS)

    @property
    def _needs_preset(self) -> bool:
        """Whether a condition is one on the preset, which operations do not have."""
        return self.is_outdated or self.preset is not None or self.preset_version_not is not None

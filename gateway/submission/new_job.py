"""Builds the document of a new job, whoever submits it: a form, or an event of a bucket."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from gateway.permission import Permission
from gateway.submission.operation import compute_fingerprint
from pipeline import traces
from pipeline.settings import Settings
from pipeline.stage_order import stage_order
from storage.clock import now_ms
from storage.documents import Job, Kind, Operation, Original, Source, StageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMaker:
    """What all jobs of one submission have in common."""

    settings: Settings
    permission: Permission
    has_own_default: bool
    """Whether a file of presets says what `default` is."""
    request_id: str | None = None

    def build_job(
        self,
        kind: Kind,
        original: Original,
        operation: Operation,
        *,
        job_id: str,
        source: Source | None = None,
        source_task_id: str | None = None,
    ) -> Job:
        """Return the job, due after `sweeper.accept_patience`. With a `source`, a worker fetches the original first."""
        now, has_own_default = now_ms(), self.has_own_default
        order = stage_order(
            kind,
            operation.renditions,
            is_fetched=source is not None,
            is_exported=operation.destination is not None,
        )
        stages = {name: StageRecord() for step in order for name in step}
        stages[order[0][0]].queued_ms = now
        return Job(
            id=job_id,
            kind=kind,
            original=original,
            source=source,
            operation=operation,
            limits=asdict(self.settings.limits),
            owner=self.permission.owner,
            token_id=self.permission.token_id,
            metadata=dict(self.permission.metadata),
            source_task_id=source_task_id,
            fingerprint=compute_fingerprint(kind, original, operation, source=source, has_own_default=has_own_default),
            request_id=self.request_id,
            traceparent=traces.traceparent(),
            stages=stages,
            next_dispatch_ms=now + int(self.settings.sweeper.accept_patience * 1000),
        )

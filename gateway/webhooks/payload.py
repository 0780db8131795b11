"""The payload of an event: what an endpoint gets, the same text on every try."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from gateway.public_errors import public_failure
from gateway.schemas import JobStatus, Links
from pipeline.settings import Settings
from storage.documents import Job, JobState, Kind
from storage.events import OutboxEvent
from storage.webhooks import WebhookEndpoint


class ThinFailure(BaseModel):
    """Why the job failed."""

    code: str = Field(examples=["image_corrupt"])


class ThinJob(BaseModel):
    """The job of an event, in brief."""

    task_id: str = Field(examples=["019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"])
    kind: Kind
    status: JobState
    metadata: dict[str, str] = Field(description="What the upload token that submitted the job says of it.")
    failure: ThinFailure | None
    links: Links

    @classmethod
    def of(cls, job: Job, *, root_path: str) -> ThinJob:
        """Build the brief public view of a job. Its links begin with the root path."""
        failure = public_failure(job)
        return cls(
            task_id=job.id,
            kind=job.kind,
            status=job.state,
            metadata=job.metadata,
            failure=None if failure is None else ThinFailure(code=failure.code),
            links=Links.of(job.id, root_path=root_path),
        )


class JobPayloads:
    """The payloads of the events of one job. What they share is built once."""

    def __init__(self, job: Job, settings: Settings) -> None:
        self._job = job
        self._root_path = settings.webhooks.public_url.rstrip("/") or settings.http.root_path
        self._jobs: dict[bool, Mapping[str, Any]] = {}
        self._texts: dict[tuple[bool, str], str] = {}

    def build(self, event: OutboxEvent, endpoint: WebhookEndpoint) -> str:
        """Return the payload of an event for an endpoint: JSON, as Standard Webhooks says."""
        key = (endpoint.is_thin, event.key)
        if key not in self._texts:
            rendition = {} if event.rendition is None else {"rendition": event.rendition}
            payload = {
                "type": event.type,
                "timestamp": _format_time(event.ms),
                "data": {**rendition, **self._view(is_thin=endpoint.is_thin)},
            }
            self._texts[key] = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
        return self._texts[key]

    def _view(self, *, is_thin: bool) -> Mapping[str, Any]:
        if is_thin not in self._jobs:
            model = ThinJob if is_thin else JobStatus
            self._jobs[is_thin] = model.of(self._job, root_path=self._root_path).model_dump(mode="json")
        return self._jobs[is_thin]


def build_payload(job: Job, event: OutboxEvent, endpoint: WebhookEndpoint, *, settings: Settings) -> str:
    """Return the payload of one event of a job for an endpoint: JSON, as Standard Webhooks says.

    `data` is the job as its status shows it, or in brief for an endpoint that wants that. For a rendition that is done,
    it also has the name of that, `rendition`.
    """
    return JobPayloads(job, settings).build(event, endpoint)


def _format_time(ms: int) -> str:
    """Return a time (epoch ms) as clients get all times."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat().replace("+00:00", "Z")

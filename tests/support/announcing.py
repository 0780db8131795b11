"""An announcer as gateways have it, for those who need one beside what they are about."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from gateway.webhooks.announcer import POLL_SECONDS, Announcer
from gateway.webhooks.metrics import EventMetrics
from pipeline.queues.queues import Queues
from pipeline.settings import Settings
from storage.documents import Job, JobState
from storage.outbox import with_end_event
from storage.stores import Stores
from tests.support.fakes import FakeQueues, new_job


def new_announcer(
    stores: Stores,
    settings: Settings | None = None,
    *,
    queues: Queues | None = None,
    registry: CollectorRegistry | None = None,
    poll_seconds: float = POLL_SECONDS,
) -> Announcer:
    """Return an announcer over these stores, whose loop does not run."""
    metrics = EventMetrics(registry or CollectorRegistry())
    return Announcer(stores, queues or FakeQueues(), settings or Settings(), metrics, poll_seconds=poll_seconds)


def new_ended_job(state: JobState = JobState.DONE, *, ms: int = 5, **fields: Any) -> Job:
    """Return a job that ended at a time (epoch ms), with its event in the outbox."""
    job = new_job(state=state, finished_ms=ms, **fields)
    return job.model_copy(update=with_end_event(job, now=ms))

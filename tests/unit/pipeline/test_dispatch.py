"""Dispatches: what is published, and what is counted."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from pipeline.dispatch import dispatch_or_schedule
from pipeline.dispatch_metrics import DispatchMetrics
from storage.clock import now_ms
from tests.support.fakes import FakeJobs, new_job


@pytest.mark.parametrize(("fixture", "sent", "failed"), [("broker", 1, 0), ("no_broker", 0, 1)])
async def test_dispatches_are_counted_by_result(
    jobs: FakeJobs, request: pytest.FixtureRequest, fixture: str, sent: int, failed: int
) -> None:
    request.getfixturevalue(fixture)
    registry = CollectorRegistry()

    await dispatch_or_schedule(jobs, new_job(), DispatchMetrics(registry))

    counts = [registry.get_sample_value("darkroom_dispatches_total", {"result": name}) for name in ("sent", "failed")]
    assert counts == [sent, failed]


async def test_a_job_that_the_broker_does_not_take_is_due_at_once(jobs: FakeJobs, no_broker: None) -> None:  # noqa: ARG001
    job = new_job(next_dispatch_ms=now_ms() + 60_000)
    await jobs.insert(job)

    await dispatch_or_schedule(jobs, job, DispatchMetrics(CollectorRegistry()))

    assert (await jobs.get(job.id)).next_dispatch_ms <= now_ms()

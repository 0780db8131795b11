"""What may be left once all is quiet: the original and the renditions of done jobs, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from redis import Redis

from pipeline.routing import LANE_QUEUES
from pipeline.stage_order import stage_by_rendition
from pipeline.tidying.leftovers import recorded_names
from storage.clock import now_ms
from storage.documents import JobRecord, JobState
from storage.webhooks import DeliveryState
from tests.tools.chaos.stack import ChaosStack
from tests.tools.chaos.violations import Violation, ViolationKind
from tests.tools.chaos.witness import Witness

PARTIAL_WRITE_MARK = "#"  # in the names of obstore's unfinished writes


def find_leftovers(jobs: Sequence[JobRecord], stack: ChaosStack, witness: Witness) -> list[Violation]:
    """Return what should not be there: messages, leases, held keys, events, blobs."""
    sentences = [*_messages(stack.redis_url), *_leases(jobs), *_keys(witness), *_events(witness)]
    sentences += find_left_blobs(jobs, stack.blob_folder)
    return [Violation(ViolationKind.LEFT_OVER, sentence) for sentence in sentences]


def _messages(redis_url: str) -> Iterator[str]:
    with Redis.from_url(redis_url) as redis:
        counts = {queue: redis.llen(queue) for queue in LANE_QUEUES}
        counts |= {"unacked": redis.hlen("unacked"), "unacked_index": redis.zcard("unacked_index")}
    for name, count in counts.items():
        if count:
            yield f"{count} messages in {name}"


def _leases(jobs: Sequence[JobRecord]) -> Iterator[str]:
    for job in jobs:
        if job.has_live_lease(now_ms()):
            yield f"a lease of {job.id}"


def _keys(witness: Witness) -> Iterator[str]:
    for key, job_id in witness.held_keys(now_ms()):
        yield f"the Idempotency-Key {key}, held for {job_id}, which is no job"


def _events(witness: Witness) -> Iterator[str]:
    if witness.has_outboxes():
        yield "events in the outboxes of jobs"
    unsent = [DeliveryState.PENDING] if witness.has_pending_deliveries() else []
    for delivery in witness.deliveries(*unsent, DeliveryState.FAILED):
        yield f"the delivery {delivery.id}, {delivery.state} after {delivery.tries} tries"
    for endpoint in witness.endpoints():
        if endpoint.disabled or endpoint.lease_ms > now_ms():
            yield f"the endpoint {endpoint.id}, disabled: {endpoint.disabled}, or with a lease of {endpoint.holder}"


def find_left_blobs(jobs: Sequence[JobRecord], blob_folder: Path) -> Iterator[str]:
    """Yield a sentence on each folder with what its job does not need, or without what it does."""
    by_id = {job.id: job for job in jobs}
    present = {folder.name: {file.name for file in folder.iterdir()} for folder in blob_folder.iterdir()}
    for name, files in present.items():
        job = by_id.get(name)
        if job is None:
            yield f"the folder {name} of no job: {sorted(files)}"
        else:
            yield from _unexpected_blobs(job, files)
    for job in jobs:
        if job.state is JobState.DONE and (missing := _expected_blobs(job) - present.get(job.id, set())):
            yield f"no {sorted(missing)} in the folder of {job.id}"


def _unexpected_blobs(job: JobRecord, files: set[str]) -> Iterator[str]:
    if job.state in {JobState.FAILED, JobState.CANCELLED}:
        yield f"a folder of {job.id}, which is {job.state}: {sorted(files)}"
    elif partial := {name for name in files if PARTIAL_WRITE_MARK in name}:
        yield f"unfinished writes in the folder of {job.id}, which is {job.state}: {sorted(partial)}"
    elif job.state is JobState.DONE and (unwanted := files - _expected_blobs(job)):
        yield f"{sorted(unwanted)} in the folder of {job.id}, which is done"
    elif job.state is JobState.DEAD and (unrecorded := files - recorded_names(job)):
        yield f"{sorted(unrecorded)} in the folder of {job.id}, which is dead"


def _expected_blobs(job: JobRecord) -> set[str]:
    results = [job.stages[stage].result or {} for stage in stage_by_rendition(job).values()]
    return {Path(key).name for key in (job.original.blob, *(result.get("blob", "") for result in results))}

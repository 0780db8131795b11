"""What must be true of every job once all is quiet: from its document, and over HTTP."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from pipeline.stage_order import stage_by_rendition
from storage.documents import JobRecord, JobState, StageState
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.tools.chaos.load import Upload
from tests.tools.chaos.samples import POISON, Sample
from tests.tools.chaos.schedule import Injection
from tests.tools.chaos.timing import MAX_ATTEMPTS, MAX_GENERATION
from tests.tools.chaos.violations import Violation, ViolationKind

READERS = 4
ANSWERS = {"202", "503", "429", "409", "none"}
MONGO_OUTAGES = ("mongo_", "everything_")
GAVE_UP = {"attempts_exhausted", "dispatches_exhausted"}


def check_jobs(
    jobs: Sequence[JobRecord], uploads: Sequence[Upload], injections: Sequence[Injection], urls: Mapping[str, str]
) -> list[Violation]:
    """Check the jobs, those too whose 202 was lost on its way, against what was uploaded."""
    outages = sum(injection.fault.startswith(MONGO_OUTAGES) for injection in injections)
    by_name = {upload.name: upload for upload in uploads}
    found = [*_lost(jobs, uploads), *_check_duplicates(jobs), *_odd_answers(uploads)]
    for job in jobs:
        upload = by_name.get(job.original.name or "")
        if upload is not None:
            found += [Violation(wrong, sentence, job.id) for wrong, sentence in _check(job, upload, outages)]
    with ThreadPoolExecutor(READERS) as threads, httpx.Client(timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        done = [job for job in jobs if job.state is JobState.DONE]
        for wrong in threads.map(lambda job: list(_check_results(client, list(urls.values()), job)), done):
            found += wrong
    return found


def _lost(jobs: Sequence[JobRecord], uploads: Sequence[Upload]) -> Iterator[Violation]:
    known = {job.id for job in jobs}
    for upload in uploads:
        if upload.task_id is not None and upload.task_id not in known and not upload.is_raced:
            yield Violation(ViolationKind.LOST, f"{upload.name} was answered 202 and has no job", upload.task_id)


def _check_duplicates(jobs: Sequence[JobRecord]) -> Iterator[Violation]:
    for name, times in Counter(job.original.name for job in jobs).items():
        if times > 1:
            yield Violation(ViolationKind.DUPLICATE_EFFECT, f"{name} has {times} jobs, for one Idempotency-Key")


def _odd_answers(uploads: Sequence[Upload]) -> Iterator[Violation]:
    for upload in uploads:
        if odd := set(upload.answers) - ANSWERS:
            yield Violation(ViolationKind.REFUSED, f"{upload.name} was answered {', '.join(sorted(odd))}")


def _check(job: JobRecord, upload: Upload, outages: int) -> Iterator[tuple[ViolationKind, str]]:
    sample = upload.sample
    if not (upload.is_raced and job.state is JobState.CANCELLED):
        yield from _check_end(job, sample)
    yield from _check_effects(job)
    yield from _check_budget(job, outages)
    if job.original.is_stored and job.original.sha256 != hashlib.sha256(sample.content).hexdigest():
        yield ViolationKind.WRONG_RESULT, f"its original is not what was sent as {sample.name}"


def _check_end(job: JobRecord, sample: Sample) -> Iterator[tuple[ViolationKind, str]]:
    code = job.failure.code if job.failure else None
    if job.is_active:
        yield ViolationKind.STUCK, f"still {job.state}"
    elif sample.name.startswith(POISON) and job.state is JobState.DONE:
        return  # its executioner was late: another fault held him up
    elif job.state != sample.expected_state:
        yield ViolationKind.WRONG_RESULT, f"{sample.name} ended {job.state} ({code}), not {sample.expected_state}"
    elif sample.expected_state == JobState.DEAD and code not in GAVE_UP:
        yield ViolationKind.WRONG_RESULT, f"dead for the reason {code}"
    elif sample.expected_state == JobState.FAILED and code != sample.code:
        yield ViolationKind.WRONG_RESULT, f"failed with {code}, not with {sample.code}"


def _check_effects(job: JobRecord) -> Iterator[tuple[ViolationKind, str]]:
    states = {name: record.state for name, record in job.stages.items()}
    done = job.state is JobState.DONE
    if job.finalizations != int(done):
        yield ViolationKind.DUPLICATE_EFFECT, f"{job.state} and finalized {job.finalizations} times"
    if done and (job.failure or set(states.values()) != {StageState.DONE}):
        yield ViolationKind.DUPLICATE_EFFECT, f"done, and yet {job.failure or states}"
    if not done and states["finalize"] is StageState.DONE:
        yield ViolationKind.DUPLICATE_EFFECT, f"{job.state}, and yet finalized"
    if job.blobs_removed_ms is not None and (done or job.is_active):
        yield ViolationKind.WRONG_RESULT, f"{job.state}, and yet its blobs are removed"
    has_reason = done or job.state is JobState.CANCELLED or job.failure is not None
    if not job.is_active and (job.finished_ms is None or not has_reason):
        yield ViolationKind.WRONG_RESULT, f"{job.state} without a time or a reason"


def _check_budget(job: JobRecord, outages: int) -> Iterator[tuple[ViolationKind, str]]:
    burials = (
        1 + outages if job.state is JobState.DEAD else 0
    )  # runs that found the budget spent; one may not get through
    allowed = MAX_ATTEMPTS + burials
    for name, record in job.stages.items():
        if record.attempts - record.retries > allowed:
            yield ViolationKind.BUDGET_EXCEEDED, f"{name}: {record.attempts} attempts, {record.retries} of them retries"
    if job.redispatches > MAX_GENERATION:
        yield ViolationKind.BUDGET_EXCEEDED, f"dispatched again {job.generation} times"


def _check_results(client: httpx.Client, urls: Sequence[str], job: JobRecord) -> Iterator[Violation]:
    """Fetch all that a done job made, from one gateway and the other in turn."""
    status = client.get(f"{urls[0]}/task-status/{job.id}").json()
    if (status["status"], set(status["renditions"])) != ("done", set(stage_by_rendition(job))):
        yield Violation(
            ViolationKind.WRONG_RESULT, f"HTTP shows it {status['status']} with {list(status['renditions'])}", job.id
        )
    for turn, (name, stage) in enumerate(stage_by_rendition(job).items()):
        made = job.stages[stage].result or {}
        answer = client.get(f"{urls[turn % len(urls)]}/result/{job.id}/{name}")
        if answer.status_code != httpx.codes.OK:
            yield Violation(ViolationKind.WRONG_RESULT, f"{name} is answered {answer.status_code}", job.id)
        elif hashlib.sha256(answer.content).hexdigest() != made.get("sha256"):
            yield Violation(ViolationKind.WRONG_RESULT, f"the bytes of {name} are not those of its record", job.id)

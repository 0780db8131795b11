"""What a run is measured by, worked out from the job documents alone: recovery after each fault, and waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from storage.documents import JobRecord, JobState
from tests.tools.chaos.samples import POISON
from tests.tools.chaos.schedule import Injection
from tests.tools.chaos.witness import percentile

FEWEST = 20  # jobs that a percentile is taken of
SETTLE_MS = 5000  # in which the queues that a fault filled empty again


@dataclass(frozen=True)
class Recovery:
    """Seconds from a strike until a later run of a stage that it struck was recorded, and until all under way ended."""

    progress: float | None
    all_ended_seconds: float | None


def recovery(injection: Injection, jobs: Iterable[JobRecord]) -> Recovery:
    """Work out how the service came back from one strike."""
    at, steps, ends, stuck = injection.injected_ms, [], [injection.injected_ms], False
    for job in jobs:
        stuck |= job.is_active and job.upload_started_ms < at
        records = [record for name, record in job.stages.items() if not injection.stages or name in injection.stages]
        steps += [r.finished_ms for r in records if r.finished_ms and r.started_ms and r.started_ms >= at]
        if job.finished_ms and job.upload_started_ms < at <= job.finished_ms:
            ends.append(job.finished_ms)
    return Recovery((min(steps) - at) / 1000 if steps else None, None if stuck else (max(ends) - at) / 1000)


def job_durations(jobs: Iterable[JobRecord]) -> list[float]:
    """Return the seconds from upload, or from the last reprocessing, to end of the jobs that are done."""
    return [(job.finished_ms - job.started_ms) / 1000 for job in jobs if job.state is JobState.DONE and job.finished_ms]


def extra_runs(jobs: Iterable[JobRecord]) -> list[int]:
    """Return the runs beyond the first of each stage, poison apart."""
    return [max(0, stage.claims - 1) for job in jobs if not is_poison(job) for stage in job.stages.values()]


def p95(seconds: Sequence[float]) -> float | None:
    """Return what 95 of 100 waits do not exceed; None of too few to tell."""
    return percentile(seconds, 0.95) if len(seconds) >= FEWEST else None


def jobs_beside_poison(jobs: Sequence[JobRecord], injections: Sequence[Injection]) -> list[JobRecord]:
    """Return the jobs that were under way together with poison and that no fault touched."""
    poison = [_span(job) for job in jobs if is_poison(job)]
    faults = [
        (s.injected_ms, s.injected_ms + int((recovery(s, jobs).all_ended_seconds or 0) * 1000)) for s in injections
    ]
    faults += [(injection.injected_ms, injection.recovered_ms + SETTLE_MS) for injection in injections]
    return [job for job in jobs if not is_poison(job) and _overlaps(job, poison) and not _overlaps(job, faults)]


def is_poison(job: JobRecord) -> bool:
    """Whether the job is one that kills its workers."""
    return is_poison_name(job.original.name or "")


def is_poison_name(name: str) -> bool:
    """Whether an upload with this name kills its workers."""
    return name.startswith(POISON)


def _span(job: JobRecord) -> tuple[int, int]:
    return job.started_ms, job.finished_ms or job.updated_ms


def _overlaps(job: JobRecord, spans: Iterable[tuple[int, int]]) -> bool:
    start, stop = _span(job)
    return any(start <= end and begin <= stop for begin, end in spans)

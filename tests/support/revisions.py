"""Runs of a job by hand: each writes what says of which revision it is, and any of them may be late or dead."""

from __future__ import annotations

from itertools import count
from typing import Any

from pipeline.results import find_results
from pipeline.routing import FINALIZE, NORMALIZE
from pipeline.settings import Settings
from pipeline.stage_blobs import StageBlobs
from pipeline.stage_order import prerequisites, stage_by_rendition, stage_order_of
from pipeline.tidying.context import TidyContext
from pipeline.tidying.leftovers import Leftovers
from stages.normalize import Master
from stages.rendition import Rendition
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Failure, Job, JobRecord, Kind, Operation, PresetReference, StageState
from storage.ledger import Claim, Ledger
from storage.stores import Stores
from tests.support.fakes import new_job

REFUSAL = Failure(stage="validate", code="image_corrupt", message="It is damaged.")
HOUR = 3_600_000
_messages = count()


class Run:
    """One attempt of a stage, which goes on whenever it is told to."""

    def __init__(self, ledger: Ledger, blobs: Blobs, claim: Claim) -> None:
        self._ledger, self._claim = ledger, claim
        self._blobs = StageBlobs(blobs, claim.job, attempt=claim.attempt)
        self._result: dict[str, Any] | None = None

    def work(self) -> None:
        """Write the blobs of the stage."""
        if self._result is None:
            self._result = self._write()

    def complete(self) -> bool:
        """Record the stage, and the job if it is the last one; when fenced, remove the blobs."""
        self.work()
        is_last = self._claim.stage == FINALIZE
        record = self._ledger.complete_job if is_last else self._ledger.complete_stage
        if record(self._claim, self._result or {}):
            return True
        self._blobs.remove_written()
        return False

    def refuse(self) -> bool:
        """Refuse the image."""
        return self._ledger.refuse(self._claim, REFUSAL)

    def mark_dead(self) -> bool:
        """End the job as one whose attempts are used up."""
        return self._ledger.mark_dead(self._claim, REFUSAL)

    def release(self) -> bool:
        """Leave the stage to another run."""
        return self._ledger.release(self._claim, "internal_error", counts_as_attempt=False)

    def _write(self) -> dict[str, Any]:
        job, stage = self._claim.job, self._claim.stage
        if stage == NORMALIZE:
            return self._blobs.write_master({"any": Master("RGB", 1, 1, b"rgb")})
        if stage == FINALIZE:
            self._blobs.remove_intermediates()
        for name, maker in stage_by_rendition(job).items():
            if maker == stage:
                return self._blobs.write_rendition(name, Rendition(_content(job, name), "jpeg", "image/jpeg", 1, 1))
        return {}


def start_run(ledger: Ledger, blobs: Blobs, job_id: str, stage: str) -> Run | None:
    """Claim a stage whose turn it is. The lease ends at once, so another run may take over at any time."""
    message = f"message {next(_messages)}"
    claim = ledger.claim(job_id, stage, message_id=message, worker="here", lease_ms=-1)
    if claim is None:
        return None
    earlier = prerequisites(stage_order_of(claim.job), stage)
    if any(claim.job.stages[name].state is not StageState.DONE for name in earlier):
        ledger.release(claim, "out_of_order", counts_as_attempt=False)
        return None
    return Run(ledger, blobs, claim)


def run_to_end(ledger: Ledger, blobs: Blobs, job_id: str) -> None:
    """Run all stages that are not done, each by one run that ends well."""
    job = ledger.get(job_id)
    assert job is not None
    for stage in (name for names in stage_order_of(job) for name in names):
        if run := start_run(ledger, blobs, job_id, stage):
            assert run.complete()


async def insert_done(stores: Stores, ledger: Ledger, kind: Kind = Kind.PREVIEWS, **fields: Any) -> Job:
    """Insert a job and run it to its end."""
    job = new_job(kind, **fields)
    await stores.jobs.insert(job)
    stores.blobs.put(job.original.blob, b"original")
    run_to_end(ledger, stores.blobs, job.id)
    return await stores.jobs.get(job.id)


async def reprocess(stores: Stores, job: Job, *names: str) -> Job | None:
    """Begin the next revision of a job, with these renditions or those that it has; nobody wants its events."""
    await stores.jobs.clear_outbox(job)
    edges = dict.fromkeys(names, 100) if names else job.operation.renditions
    # The version differs with the names, as that of a preset does: FerretDB sets no document of the same values.
    operation = Operation(renditions=edges, preset=PresetReference(name="shop", version=" ".join(edges)))
    stages = [name for step in stage_order_of(job.model_copy(update={"operation": operation})) for name in step]
    return await stores.jobs.reprocess(job, operation, stages=stages, lane=job.lane, next_dispatch_ms=now_ms() + HOUR)


def read_results(blobs: Blobs, job: JobRecord) -> dict[str, bytes]:
    """Return what a client gets who fetches all renditions at this moment."""
    return {name: blobs.get(result["blob"]) for name, result in find_results(job).items()}


def expected_results(revision: int, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the results of a whole revision with these renditions."""
    return {name: f"{name} of {revision}".encode() for name in names}


async def tidy(stores: Stores, settings: Settings, job_id: str) -> None:
    """Let the tidier look at a job as if it had ended an hour ago."""
    past = {"$set": {"finished_ms": now_ms() - HOUR}}
    await Job.get_motor_collection().update_one({"_id": job_id, "finished_ms": {"$gt": 0}}, past)
    context = TidyContext(stores, settings)
    await Leftovers(context).remove_leftovers()
    context.close()
    assert not context.errors


def _content(job: JobRecord, name: str) -> bytes:
    return f"{name} of {job.revision}".encode()

"""The worker's access to the job documents: each write is one conditional update, so doing it twice is harmless."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from storage.clock import now_ms
from storage.document_reader import JobReader
from storage.documents import (
    ACTIVE_STATES,
    LEASE_MARGIN_MS,
    MESSAGE_ID,
    Failure,
    JobRecord,
    JobState,
    StageState,
)
from storage.errors import JobUnreadable
from storage.outbox import end_changes, rendition_changes
from storage.revisions import restore_changes

Document = dict[str, Any]
_ACTIVE = {"$in": [state.value for state in ACTIVE_STATES]}
_UNFINISHED = {"$in": [StageState.PENDING.value, StageState.RUNNING.value]}


@dataclass(frozen=True, slots=True)
class Claim:
    """A stage that this run holds until its lease ends."""

    job: JobRecord
    """The job as it was after the claim."""
    stage: str
    attempt: int
    """The fencing token: every write of this run requires that the document still has it."""
    failed_attempts: int
    """Attempts that count towards the limit, this one included."""


class Ledger:
    """Claims and records stages in the job documents of one collection.

    Source of the design: leases with fencing tokens (Kleppmann, "How to do distributed locking", 2016).
    """

    def __init__(
        self,
        collection: Collection[Document],
        *,
        stall_timeout_ms: int,
        reader: JobReader[JobRecord] | None = None,
    ) -> None:
        self._jobs = collection
        self._stall_timeout_ms = stall_timeout_ms
        self._reader = reader or JobReader(JobRecord)

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job, or None. Raises `JobUnreadable`."""
        document = self._jobs.find_one({"_id": job_id})
        return self._reader.read(document) if document else None

    def claim(
        self, job_id: str, stage: str, *, message_id: str, worker: str, lease_ms: int, is_retry: bool = False
    ) -> Claim | None:
        """Claim the stage for `lease_ms` milliseconds; None when it cannot be claimed.

        The job must be active. The stage must be pending, or running with an expired lease, or running under this same
        `message_id`: the broker delivered the message again, so the earlier run is dead. A lease that is too long
        to be one is of before the database's clock was set back, and has expired. Raises `JobUnreadable` for a job that
        this version cannot read: it claims nothing then, so a newer version finds the job as it was.

        `is_retry` says that a worker has sent this message again, after an error. If the stage still runs under it, the
        database has not answered a claim or a release: that run does not count towards the limit of attempts.
        """
        now = now_ms()
        prefix = f"stages.{stage}"
        free = {f"{prefix}.state": _UNFINISHED, f"{prefix}.lease_ms": {"$lte": now}}
        running = {f"{prefix}.state": StageState.RUNNING.value}
        own = running | {f"{prefix}.{MESSAGE_ID}": message_id}
        impossible = running | {f"{prefix}.lease_ms": {"$gt": now + lease_ms + LEASE_MARGIN_MS}}
        job_changes = {
            "state": JobState.PROCESSING,
            "updated_ms": now,
            "next_dispatch_ms": now + lease_ms + self._stall_timeout_ms,
        }
        run = {"state": StageState.RUNNING, MESSAGE_ID: message_id, "worker": worker, "lease_ms": now + lease_ms}
        stage_changes = run | {"started_ms": now}
        changes = job_changes | {f"{prefix}.{name}": value for name, value in stage_changes.items()}
        claims = ((own, 1), (free, 0)) if is_retry else ((free, 0), (own, 0))
        conditions = (*claims, (impossible, 0))
        for condition, uncounted in conditions:  # one by one: an `$or` makes the embedded server read every job
            numbers = {f"{prefix}.attempts": 1, "version": 1} | ({f"{prefix}.retries": 1} if uncounted else {})
            update = {"$set": changes, "$inc": numbers}
            before = self._claim_if({"_id": job_id, "state": _ACTIVE, **condition}, update, stage)
            if before is not None:
                job = self._read_or_undo(before, update, stage)
                return _build_claim(job, stage, job_changes, stage_changes, uncounted=uncounted)
        self.get(job_id)  # raises for an unreadable job
        return None

    def complete_stage(
        self,
        claim: Claim,
        result: Mapping[str, Any],
        *,
        due_stages: Iterable[str] = (),
        job_changes: Mapping[str, Any] | None = None,
    ) -> bool:
        """Record the stage's result, and the time at which `due_stages` became due; False when the run is fenced.

        `job_changes` are fields of the job, by their stored paths, that change with it.
        """
        changes = self._stage_end_changes(claim, StageState.DONE, result=dict(result), error=None)
        now = changes["updated_ms"]
        changes |= {f"stages.{name}.queued_ms": now for name in due_stages}
        changes |= rendition_changes(claim.job, claim.stage, now=now)
        return self._update(claim, {"$set": changes | dict(job_changes or {})})

    def complete_job(self, claim: Claim, result: Mapping[str, Any]) -> bool:
        """Complete the last stage and the job in one update; False when the run is fenced or a stage is not done.

        The same update adds 1 to `finalizations`, so it is 1 in every job that is done. It also replaces the previous
        results of a job that is reprocessed: before it, clients get all of those, and after it all of the new ones.
        """
        changes = self._stage_end_changes(claim, StageState.DONE, result=dict(result), error=None)
        changes |= {"state": JobState.DONE.value, "finished_ms": changes["updated_ms"]}
        changes |= end_changes(claim.job, JobState.DONE, now=changes["updated_ms"])
        if claim.job.previous is not None:
            changes["previous"] = None
        others = {f"stages.{name}.state": StageState.DONE.value for name in claim.job.stages if name != claim.stage}
        return self._update(claim, {"$set": changes, "$inc": {"finalizations": 1}}, others)

    def refuse(self, claim: Claim, failure: Failure) -> bool:
        """Fail the stage and the job permanently, because of the image; False when the run is fenced.

        A job that is reprocessed gets its previous results back instead, also by `mark_dead`.
        """
        return self._end_job(claim, failure, JobState.FAILED)

    def mark_dead(self, claim: Claim, failure: Failure) -> bool:
        """Mark the job dead after its last attempt, when the cause may not be the image; False when fenced."""
        return self._end_job(claim, failure, JobState.DEAD)

    def release(self, claim: Claim, code: str, *, counts_as_attempt: bool) -> bool:
        """Release the stage so that it can run again, for the reason `code`; False when the run is fenced.

        `counts_as_attempt` says whether this run counts towards the limit of attempts.
        """
        now = now_ms()
        update: Document = {"$set": _release_changes(claim.stage, code, now=now) | {"updated_ms": now}}
        if not counts_as_attempt:
            update["$inc"] = {f"stages.{claim.stage}.retries": 1}
        return self._update(claim, update)

    def send_back(self, claim: Claim, earlier: str, code: str) -> bool:
        """Release the stage, and have an `earlier` one run again, for the reason `code`: what it made is lost.

        The job is due for dispatch. This run does not count towards the limit of attempts, the earlier stage's runs do.
        False when this run is fenced, or the earlier stage has run again since this run began, or is about to.
        """
        now, prefix = now_ms(), f"stages.{earlier}"
        released = _release_changes(claim.stage, code, now=now) | _release_changes(earlier, code, now=now)
        changes = released | {
            f"{prefix}.finished_ms": None,
            f"{prefix}.result": None,
            "updated_ms": now,
            "next_dispatch_ms": now,
        }
        unchanged = {
            f"{prefix}.state": StageState.DONE.value,
            f"{prefix}.attempts": claim.job.stages[earlier].attempts,
        }
        return self._update(claim, {"$set": changes, "$inc": {f"stages.{claim.stage}.retries": 1}}, unchanged)

    def uncount_attempt(self, claim: Claim) -> None:
        """Not count a fenced run towards the limit of attempts: it is alive, so its image has not ended it.

        Only a run whose stage was claimed again has another attempt in its place. A person's retry or reprocessing
        resets the count, so earlier runs change nothing after it.
        """
        prefix = f"stages.{claim.stage}"
        taken_over = {
            "_id": claim.job.id,
            "state": _ACTIVE,
            "first_generation": claim.job.first_generation,
            f"{prefix}.attempts": {"$gt": claim.attempt},
        }
        self._jobs.update_one(taken_over, {"$inc": {f"{prefix}.retries": 1}})

    def schedule_dispatch(self, job_id: str, *, delay_ms: int) -> None:
        """Have the sweeper look at an active job in `delay_ms` milliseconds."""
        due_ms = now_ms() + delay_ms
        self._jobs.update_one({"_id": job_id, "state": _ACTIVE}, {"$set": {"next_dispatch_ms": due_ms}})

    def _claim_if(self, condition: Document, update: Document, stage: str) -> Document | None:
        """Claim a stage on a condition; return the job's document as it was before, or None."""
        try:
            return self._jobs.find_one_and_update(condition, update, return_document=ReturnDocument.BEFORE)
        except OperationFailure:
            job = self.get(condition["_id"])  # an unreadable job may have a text where the update adds to a number
            if job is None or stage not in job.stages:
                return None  # MongoDB refuses some names of stages, such as an empty one
            raise

    def _read_or_undo(self, before: Document, update: Document, stage: str) -> JobRecord:
        """Return the job as it was before its claim. If it cannot be read, undo the claim and raise `JobUnreadable`.

        Reading the job first would cost each run a query more.
        """
        try:
            return self._reader.read(before)
        except JobUnreadable:
            undo: dict[str, Document] = {"$set": {}, "$unset": {}}
            for path in (*update["$set"], *update["$inc"]):
                *parents, name = path.split(".")
                fields = reduce(lambda document, key: document[key], parents, before)
                undo["$set" if name in fields else "$unset"][path] = fields.get(name)
            held = {path: update["$set"][path] for path in (f"stages.{stage}.{MESSAGE_ID}", f"stages.{stage}.lease_ms")}
            self._jobs.update_one(
                {"_id": before["_id"], **held}, {operator: paths for operator, paths in undo.items() if paths}
            )
            raise

    def _end_job(self, claim: Claim, failure: Failure, state: JobState) -> bool:
        now = now_ms()
        if restored := restore_changes(claim.job, failure, now=now):
            return self._update(claim, {"$set": restored | {"next_dispatch_ms": now + self._stall_timeout_ms}})
        changes = self._stage_end_changes(claim, StageState.FAILED, error=failure.code)
        changes |= {"state": state.value, "finished_ms": changes["updated_ms"], "failure": failure.model_dump()}
        changes |= end_changes(claim.job, state, now=changes["updated_ms"])
        return self._update(claim, {"$set": changes})

    def _stage_end_changes(self, claim: Claim, state: StageState, **stage: object) -> Document:
        prefix, now = f"stages.{claim.stage}", now_ms()
        return {
            "updated_ms": now,
            "next_dispatch_ms": now + self._stall_timeout_ms,
            f"{prefix}.state": state.value,
            f"{prefix}.lease_ms": 0,
            f"{prefix}.finished_ms": now,
            **{f"{prefix}.{name}": value for name, value in stage.items()},
        }

    def _update(self, claim: Claim, update: Document, condition: Mapping[str, Any] | None = None) -> bool:
        """Apply an update if this run still holds its stage, whether its lease has expired or not."""
        prefix = f"stages.{claim.stage}"
        current = {
            "_id": claim.job.id,
            "state": _ACTIVE,
            f"{prefix}.state": StageState.RUNNING.value,
            f"{prefix}.attempts": claim.attempt,
        }
        versioned = update | {"$inc": {**update.get("$inc", {}), "version": 1}}
        return self._jobs.update_one({**current, **(condition or {})}, versioned).modified_count == 1


def _release_changes(stage: str, code: str, *, now: int) -> Document:
    """Return the changes that let a stage run again."""
    prefix = f"stages.{stage}"
    return {
        f"{prefix}.state": StageState.PENDING.value,
        f"{prefix}.lease_ms": 0,
        f"{prefix}.error": code,
        f"{prefix}.queued_ms": now,
        f"{prefix}.started_ms": None,
    }


def _build_claim(
    before: JobRecord, stage: str, job_changes: Mapping[str, Any], stage_changes: Mapping[str, Any], *, uncounted: int
) -> Claim:
    """Return the claim of a stage, from the job before it and the changes that it made; named as they are stored."""
    record = before.stages[stage]
    fields = {"message_id" if name == MESSAGE_ID else name: value for name, value in stage_changes.items()}
    numbers = {"attempts": record.attempts + 1, "retries": record.retries + uncounted}
    record = record.model_copy(update=fields | numbers)
    stages = before.stages | {stage: record}
    job = before.model_copy(update={**job_changes, "version": before.version + 1, "stages": stages})
    return Claim(job, stage, record.attempts, record.attempts - record.retries)

"""One run of one stage: what it may read, what it wrote, and how it ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, fields
from hashlib import sha256
from typing import Any

import structlog

from pipeline import presentation, traces
from pipeline.child import Child
from pipeline.routing import NORMALIZE
from pipeline.stage_order import next_stages, prerequisites, stage_by_rendition, stage_order_of
from stages.errors import StageError
from stages.finalize import RenditionFacts
from stages.normalize import Master
from stages.resize import Rendition
from storage.documents import Failure, JobRecord, JobState, StageState, blob_key, job_folder
from storage.ledger import Claim

EVENTS = {
    "done": ("stage.done", logging.INFO),
    "refused": ("stage.refused", logging.INFO),
    "fenced": ("stage.fenced", logging.WARNING),
    "out_of_order": ("stage.out_of_order", logging.WARNING),
    "dead": ("job.dead", logging.ERROR),
}
"""What may come of a claimed stage, and how it is logged; the outcomes are those of the metrics."""

log = structlog.get_logger("pipeline")


class Run:
    """A claimed stage. Blobs it writes carry its attempt in their names, so no run ever overwrites another's."""

    def __init__(self, child: Child, claim: Claim) -> None:
        self.settings = child.settings
        self._child = child
        self._claim = claim
        self._steps = stage_order_of(claim.job)
        self._metrics = child.metrics
        self._written: list[str] = []

    @classmethod
    def claim(cls, child: Child, job_id: str, stage: str, *, task_id: str, worker: str) -> Run | None:
        """Claim a stage; None when it is not to be had."""
        claim = child.ledger.claim(
            job_id,
            stage,
            task_id=task_id,
            worker=worker,
            lease_ms=int(child.settings.work.time_limit * 1000),
        )
        if claim is None:
            return None
        child.hints.changed(job_id)
        return cls(child, claim)

    @property
    def attempt(self) -> int:
        """The fencing token of this run, 1 for the first."""
        return self._claim.attempt

    @property
    def job(self) -> JobRecord:
        """The job as it was when this run claimed its stage."""
        return self._claim.job

    @property
    def stage(self) -> str:
        """The claimed stage."""
        return self._claim.stage

    def introduce(self) -> None:
        """Name this run in every line of its task, and in its span."""
        record = self.job.stages[self.stage]
        wait_ms = max(0, record.started_ms - record.queued_ms) if record.started_ms and record.queued_ms else None
        came_with = {"request_id": self.job.request_id} if self.job.request_id else {}
        structlog.contextvars.bind_contextvars(attempt=self.attempt, **came_with)
        traces.note(attempt=self.attempt, queue_wait_ms=wait_ms, **came_with)

    @property
    def is_out_of_order(self) -> bool:
        """Whether a stage that must come first is not done: the message is not one of a canvas in order."""
        needed = prerequisites(self._steps, self.stage)
        return any(self.job.stages[name].state is not StageState.DONE for name in needed)

    @property
    def exhausted(self) -> bool:
        """Whether this is the last attempt that the budget allows."""
        return self._claim.failed_attempts >= self.settings.work.max_attempts

    @property
    def attempts_exceeded(self) -> bool:
        """Whether the budget was spent before this attempt: earlier ones took their worker down with them."""
        return self._claim.failed_attempts > self.settings.work.max_attempts

    def original(self) -> bytes:
        """Return the bytes as uploaded."""
        return self._child.blobs.get(self.job.original.blob)

    def master(self, rendition: str) -> Master:
        """Return the normalised intermediate at the size of a rendition."""
        stored = self.result(NORMALIZE)
        level = stored.get("levels", {}).get(rendition, stored)  # before 0.2 there was one size, and no levels
        start, mode = level.get("offset", 0), stored["mode"]
        stop = start + level["width"] * level["height"] * len(mode)
        pixels = self._child.blobs.get(stored["blob"], start=start, stop=stop)
        return Master(mode, level["width"], level["height"], pixels)

    def result(self, stage: str) -> dict[str, Any]:
        """Return what an earlier stage recorded."""
        return self.job.stages[stage].result or {}

    def renditions(self) -> dict[str, RenditionFacts]:
        """Return what the resizes recorded, by rendition."""
        return {name: _facts(self.result(stage)) for name, stage in stage_by_rendition(self.job).items()}

    def store_master(self, masters: Mapping[str, Master]) -> dict[str, Any]:
        """Write the master, its sizes behind each other from the largest; return its record, with where each begins."""
        levels: dict[str, dict[str, int]] = {}
        parts: list[bytes] = []
        for name, each in sorted(masters.items(), key=lambda item: len(item[1].pixels), reverse=True):
            if not parts or parts[-1] is not each.pixels:  # two renditions of a small original can be of one size
                start = sum(map(len, parts))
                parts.append(each.pixels)
            levels[name] = {"width": each.width, "height": each.height, "offset": start}
        largest = next(iter(levels.values()))
        blob = self._write("master", b"".join(parts))
        size = {"width": largest["width"], "height": largest["height"]}
        return {"blob": blob, "mode": each.mode, **size, "levels": levels}

    def store_rendition(self, name: str, made: Rendition) -> dict[str, Any]:
        """Write a rendition, with the headers that a store serves it with; return its record."""
        headers = presentation.headers(self.job, name, format=made.format)
        return {
            "blob": self._write(name, made.content, headers | {"Content-Type": made.media_type}),
            "format": made.format,
            "media_type": made.media_type,
            "width": made.width,
            "height": made.height,
            "bytes": len(made.content),
            "sha256": sha256(made.content).hexdigest(),
        }

    def prune(self) -> None:
        """Remove what is neither the original nor a rendition: the master, and the remains of lost runs."""
        kept = {self.job.original.blob} | {
            self.result(stage)["blob"] for stage in stage_by_rendition(self.job).values()
        }
        folder = job_folder(self.job.id)
        names = self._child.blobs.names(folder)
        self._child.blobs.remove(folder, [name for name in names if blob_key(self.job.id, name) not in kept])

    def complete(self, result: Mapping[str, Any]) -> bool:
        """Record the result, and with the last stage the job; False, and nothing left, when fenced out."""
        ledger, following = self._child.ledger, next_stages(self._steps, self.stage)
        held = (
            ledger.complete(self._claim, result, following=following)
            if following
            else ledger.finish(self._claim, result)
        )
        if not held:
            self.came_to("fenced")
            self._child.blobs.remove(job_folder(self.job.id), self._written)
            return False
        self.came_to("done", ended=not following)
        if self.stage in stage_by_rendition(self.job).values():
            self._metrics.made(_rendition_of(self.job, self.stage), result["format"], result["bytes"])
        if not following:
            self._metrics.jobs.ended(self.job, JobState.DONE)
        return True

    def refuse(self, refusal: StageError) -> None:
        """Fail the job for good and remove its blobs."""
        errors = [asdict(rule) for rule in refusal.errors]
        failure = Failure(stage=self.stage, code=refusal.code, message=refusal.message, errors=errors)
        if not self._child.ledger.refuse(self._claim, failure):
            self.came_to("fenced")
            return
        self.came_to("refused", ended=True, code=refusal.code)
        self._metrics.jobs.ended(self.job, JobState.FAILED)
        self._child.blobs.remove_folder(job_folder(self.job.id))
        self._child.ledger.blobs_removed(self.job.id)

    def mark_dead(self, code: str, message: str) -> None:
        """Give the job up; its blobs stay, so that it can be retried once the reason is mended."""
        if not self._child.ledger.mark_dead(self._claim, Failure(stage=self.stage, code=code, message=message)):
            self.came_to("fenced")
            return
        self.came_to("dead", ended=True, code=code)
        self._metrics.jobs.ended(self.job, JobState.DEAD)

    def release(self, reason: str, *, blameless: bool) -> None:
        """Give the stage back for another run."""
        self._child.ledger.release(self._claim, reason[:500], blameless=blameless)
        self._child.hints.changed(self.job.id)

    def came_to(self, outcome: str, *, ended: bool = False, **details: object) -> None:
        """Tell, log and count what came of this run, one of EVENTS, and whether its job has ended with it."""
        self._child.hints.changed(self.job.id, ended=ended)
        event, level = EVENTS[outcome]
        log.log(level, event, attempt=self.attempt, **details)
        traces.note(outcome=outcome)
        self._metrics.came_of(self.stage, outcome)

    def _write(self, name: str, content: bytes, attributes: Mapping[str, str] | None = None) -> str:
        written = f"{name}.{self.attempt}"
        key = blob_key(self.job.id, written)
        self._written.append(written)
        self._child.blobs.put(key, content, once=True, attributes=attributes)
        return key


def _rendition_of(job: JobRecord, stage: str) -> str:
    return next(name for name, maker in stage_by_rendition(job).items() if maker == stage)


def _facts(record: Mapping[str, Any]) -> RenditionFacts:
    return RenditionFacts(**{field.name: record[field.name] for field in fields(RenditionFacts)})

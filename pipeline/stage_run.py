"""The life cycle of a stage: claim it, do its work, record its outcome."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, NoReturn

import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from celery import Task
from celery.exceptions import Ignore
from celery.utils.time import get_exponential_backoff_interval
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pipeline import traces
from pipeline.memory_limit import refuse_beyond_limit, release_images
from pipeline.outbound.client import OutboundClient
from pipeline.results import find_files
from pipeline.routing import NORMALIZE
from pipeline.stage_blobs import StageBlobs
from pipeline.stage_failures import (
    ATTEMPTS_EXHAUSTED,
    INFRASTRUCTURE_ERROR,
    INTERNAL_ERROR,
    MASTER_LOST,
    MASTER_LOST_TOO_OFTEN,
    OUT_OF_ORDER,
    SENTENCES,
    TIME_LIMIT,
    MasterLost,
)
from pipeline.stage_order import next_stages, prerequisites, stage_by_rendition, stage_order_of
from pipeline.time_limit import enforce_soft_time_limit
from pipeline.worker_child import WorkerChild, current_worker_child
from stages.errors import StageError, TemporaryError
from storage.documents import Failure, JobRecord, JobState, StageState
from storage.errors import TRANSIENT_ERRORS, JobUnreadable
from storage.ledger import Claim

INFRASTRUCTURE_ERRORS = (*TRANSIENT_ERRORS, RedisConnectionError, RedisTimeoutError)
"""Errors of a store or a broker. A run that ends with one does not count towards the limit of attempts."""
MAX_LOGGED_CHARACTERS = 200
OUTCOME_EVENTS = {
    "done": ("stage.done", logging.INFO),
    "skipped": ("stage.skipped", logging.INFO),
    "ignored": ("stage.ignored", logging.INFO),
    "unreadable": ("stage.unreadable", logging.WARNING),
    "refused": ("stage.refused", logging.INFO),
    "retried": ("stage.retried", logging.WARNING),
    "fenced": ("stage.fenced", logging.WARNING),
    "out_of_order": ("stage.out_of_order", logging.WARNING),
    "dead": ("job.dead", logging.ERROR),
}
"""Log event and level of each outcome."""

log = structlog.get_logger("pipeline")


class StageRun:
    """One attempt of one stage of one job, from its claim to its outcome."""

    def __init__(self, child: WorkerChild, claim: Claim) -> None:
        limits = child.settings.limits.raised_to(claim.job.limits)
        self.settings = child.settings.model_copy(update={"limits": limits})
        """Those of the worker, but a limit in force when the job was accepted counts if it was higher.

        So a lowered limit refuses no job that was accepted before it, and a raised one counts for a job's retry.
        """
        self.job_changes: Mapping[str, Any] = {}
        """Fields of the job, by their stored paths, that completing this stage changes. The last stage has none."""
        self.blobs = StageBlobs(child.blobs, claim.job, attempt=claim.attempt)
        self._child = child
        self._claim = claim
        self._order = stage_order_of(claim.job)

    @classmethod
    def claim(
        cls, child: WorkerChild, job_id: str, stage: str, *, message_id: str, worker: str, is_retry: bool = False
    ) -> StageRun | None:
        """Claim a stage; None when another run holds it, the stage is done or failed, or the job has ended.

        `is_retry` says that a run of this message ended with an error, and not with its process.
        """
        lease_ms = int(child.settings.work.time_limit * 1000)
        claim = child.ledger.claim(
            job_id, stage, message_id=message_id, worker=worker, lease_ms=lease_ms, is_retry=is_retry
        )
        if claim is None:
            return None
        child.notifications.publish_change(job_id)
        return cls(child, claim)

    @property
    def job(self) -> JobRecord:
        """The job as it was when this run claimed its stage."""
        return self._claim.job

    @property
    def stage(self) -> str:
        """The claimed stage."""
        return self._claim.stage

    @property
    def outbound(self) -> OutboundClient:
        """The way out to hosts that clients name."""
        return self._child.outbound

    def count_fetched(self, size: int) -> None:
        """Count bytes of an original that were fetched."""
        self._child.metrics.count_fetched(size)

    @property
    def is_out_of_order(self) -> bool:
        """Whether an earlier stage is not done: the message did not follow the order of a canvas."""
        earlier = prerequisites(self._order, self.stage)
        return any(self.job.stages[name].state is not StageState.DONE for name in earlier)

    @property
    def is_last_attempt(self) -> bool:
        """Whether no attempt is left after this one."""
        return self._claim.failed_attempts >= self.settings.work.max_attempts

    @property
    def attempts_exceeded(self) -> bool:
        """Whether no attempt was left for this run: earlier runs died with their worker and marked nothing dead."""
        return self._claim.failed_attempts > self.settings.work.max_attempts

    def bind_log_context(self) -> None:
        """Add the attempt and the request id to each log line of the task; to its span, the queue wait too."""
        record = self.job.stages[self.stage]
        wait_ms = max(0, record.started_ms - record.queued_ms) if record.started_ms and record.queued_ms else None
        request = {"request_id": self.job.request_id} if self.job.request_id else {}
        structlog.contextvars.bind_contextvars(attempt=self._claim.attempt, **request)
        traces.annotate(attempt=self._claim.attempt, queue_wait_ms=wait_ms, **request)

    def complete(self, result: Mapping[str, Any]) -> bool:
        """Record the result; the last stage also completes the job. When fenced, remove the blobs and return False."""
        ledger, due_stages = self._child.ledger, next_stages(self._order, self.stage)
        waiting = [name for name in due_stages if self.job.stages[name].state is not StageState.DONE]
        is_recorded = (
            ledger.complete_stage(self._claim, result, due_stages=waiting, job_changes=self.job_changes)
            if due_stages
            else ledger.complete_job(self._claim, result)
        )
        if not is_recorded:
            self._record_fenced()
            self.blobs.remove_written()
            return False
        self.record_outcome("done", has_ended=not due_stages)
        for name, stage in stage_by_rendition(self.job).items():
            if stage == self.stage:
                for file in find_files(dict(result)):
                    self._child.metrics.count_rendition(name, file["format"], file["bytes"])
        if not due_stages:
            self._child.metrics.job_ends.observe_end(self.job, JobState.DONE)
        return True

    def refuse(self, refusal: StageError, *, cause: str | None = None) -> None:
        """Fail the job because of its image. Its blobs stay for a while: a person can retry it if this was wrong.

        `cause` is for the log; by default it is the error that the refusal was raised from.
        """
        errors = [asdict(rule) for rule in refusal.errors]
        failure = Failure(stage=self.stage, code=refusal.code, message=refusal.message, errors=errors)
        if not self._child.ledger.refuse(self._claim, failure):
            self._record_fenced()
            return
        self._log_restored(refusal.code)
        if cause is None and refusal.__cause__:
            cause = repr(refusal.__cause__)[:MAX_LOGGED_CHARACTERS]
        self.record_outcome("refused", has_ended=True, code=refusal.code, cause=cause)
        self._child.metrics.job_ends.observe_end(self.job, JobState.FAILED)

    def mark_dead(self, code: str, message: str, **details: object) -> None:
        """Mark the job dead and log `details`. Its blobs stay: a person can retry it once the cause is fixed."""
        if not self._child.ledger.mark_dead(self._claim, Failure(stage=self.stage, code=code, message=message)):
            self._record_fenced()
            return
        self._log_restored(code)
        self.record_outcome("dead", has_ended=True, code=code, **details)
        self._child.metrics.job_ends.observe_end(self.job, JobState.DEAD)

    def release(self, code: str, *, counts_as_attempt: bool) -> None:
        """Release the stage for another run. Clients see the code, one of `stage_failures`."""
        is_recorded = self._child.ledger.release(self._claim, code, counts_as_attempt=counts_as_attempt)
        if not is_recorded and not counts_as_attempt:
            self._child.ledger.uncount_attempt(self._claim)
        self._child.notifications.publish_change(self.job.id)

    def send_back(self, error: MasterLost) -> None:
        """Have `normalize` run again, and then this stage: the sweeper dispatches the job in its next round."""
        if not self._child.ledger.send_back(self._claim, NORMALIZE, MASTER_LOST):  # another run has, or this is fenced
            self.release(MASTER_LOST, counts_as_attempt=False)
            self.dispatch_soon()
        self._child.metrics.count_retry(self.stage, error)
        self.record_outcome("retried", counts_as_attempt=False, error=f"MasterLost: {error}")

    def dispatch_soon(self) -> None:
        """Have the sweeper look at the job in its next round; this run's claim has postponed that."""
        self._child.ledger.schedule_dispatch(self.job.id, delay_ms=0)

    @property
    def waits_for_lost_master(self) -> bool:
        """Whether another run has found that the master is lost, and it is not made again yet."""
        record = self.job.stages.get(NORMALIZE)
        return record is not None and record.state is not StageState.DONE and record.error == MASTER_LOST

    def record_outcome(self, outcome: str, *, has_ended: bool = False, **details: object) -> None:
        """Publish that the job changed; log, trace and count the outcome of this run, one of OUTCOME_EVENTS."""
        self._child.notifications.publish_change(self.job.id, has_ended=has_ended)
        record_outcome(self._child, self.stage, outcome, attempt=self._claim.attempt, **details)

    def _log_restored(self, code: str) -> None:
        """Log that a failed reprocessing has ended: the job has its previous results."""
        if self.job.previous is not None:
            log.warning("reprocess.failed", code=code, revision=self.job.revision)

    def _record_fenced(self) -> None:
        with suppress(*INFRASTRUCTURE_ERRORS):  # then this run counts as an attempt
            self._child.ledger.uncount_attempt(self._claim)
        self.record_outcome("fenced")


def run_stage(task: Task[Any, Any], job_id: str, stage: str, work: Callable[[StageRun], Mapping[str, Any]]) -> None:
    """Claim the stage, run `work` and record the outcome, for every task.

    Returns when the stage is done, by this run or an earlier one: the canvas continues. Raises `StageError` when the
    image is refused, also after the last attempt that ends with a `TemporaryError`, Celery's `Retry` when the stage is
    to run again, and `Ignore` in all other cases.
    """
    child = current_worker_child()
    is_redelivered = bool((task.request.delivery_info or {}).get("redelivered"))
    if is_redelivered:
        child.metrics.count_redelivery(stage)
    traces.annotate(task_id=job_id, stage=stage)
    with structlog.contextvars.bound_contextvars(task_id=job_id, stage=stage):
        run, message_id, worker = None, str(task.request.id), str(task.request.hostname)
        is_retry = task.request.retries > 0 and not is_redelivered
        try:
            with enforce_soft_time_limit():
                run = StageRun.claim(child, job_id, stage, message_id=message_id, worker=worker, is_retry=is_retry)
                if run is None:
                    _skip_or_ignore(child, job_id, stage)
                    return
                run.bind_log_context()
                child.metrics.observe_queue_wait(run.job, stage)
                _check_runnable(run)
                with child.metrics.time_run(stage):
                    _work_and_record(run, work)
        except JobUnreadable as error:  # for a newer version, whose sweeper dispatches the job again
            record_outcome(child, stage, "unreadable", error=error.reason)
            raise Ignore from error
        except INFRASTRUCTURE_ERRORS as error:
            _retry(task, run, error, stage, counts_as_attempt=False)
        except (Ignore, StageError):
            raise
        except Exception as error:  # noqa: BLE001  # a bug, the time limit or a TemporaryError
            _retry(task, run, error, stage, counts_as_attempt=True)


def record_outcome(child: WorkerChild, stage: str, outcome: str, **details: object) -> None:
    """Log, trace and count the outcome of one message, one of OUTCOME_EVENTS."""
    event, level = OUTCOME_EVENTS[outcome]
    log.log(level, event, **details)
    traces.annotate(outcome=outcome)
    child.metrics.count_outcome(stage, outcome)


def _skip_or_ignore(child: WorkerChild, job_id: str, stage: str) -> None:
    """Return when the stage is already done; raise `Ignore` when another run holds it or the job has ended."""
    job = child.ledger.get(job_id)
    record = job.stages.get(stage) if job else None
    if record is None or record.state is not StageState.DONE:
        record_outcome(child, stage, "ignored", state=record.state if record else None)
        raise Ignore
    record_outcome(child, stage, "skipped")


def _check_runnable(run: StageRun) -> None:
    """Raise `Ignore` when the claimed stage must not run: no attempt is left, or an earlier stage is not done."""
    if run.attempts_exceeded:
        cause = MASTER_LOST_TOO_OFTEN if run.waits_for_lost_master else SENTENCES[ATTEMPTS_EXHAUSTED]
        run.mark_dead(ATTEMPTS_EXHAUSTED, cause)
        raise Ignore
    if run.is_out_of_order:
        run.release(OUT_OF_ORDER, counts_as_attempt=False)
        if run.waits_for_lost_master:
            run.dispatch_soon()
        run.record_outcome("out_of_order")
        raise Ignore


def _work_and_record(run: StageRun, work: Callable[[StageRun], Mapping[str, Any]]) -> None:
    try:
        with refuse_beyond_limit():
            result = work(run)
    except Exception as error:
        release_images(error)
        if isinstance(error, MasterLost):
            run.send_back(error)
            raise Ignore from error
        if isinstance(error, StageError):
            run.refuse(error)
        if isinstance(error, TemporaryError) and run.is_last_attempt:
            run.refuse(error.refusal, cause=error.detail)
            raise error.refusal from None
        raise
    if not run.complete(result):
        raise Ignore


def _retry(
    task: Task[Any, Any], run: StageRun | None, error: Exception, stage: str, *, counts_as_attempt: bool
) -> NoReturn:
    """Release the stage and raise Celery's `Retry`, or mark the job dead after its last attempt and raise `Ignore`."""
    child = current_worker_child()
    text = f"{type(error).__name__}: {error}"  # an OSError's repr has no file name
    is_bug = counts_as_attempt and not isinstance(error, TemporaryError)
    details = {"error": text, "exc_info": error if is_bug else None}
    if run is not None and counts_as_attempt and run.is_last_attempt:
        run.mark_dead(INTERNAL_ERROR, "Processing this image failed too many times.", **details)
        raise Ignore
    record_outcome(child, stage, "retried", counts_as_attempt=counts_as_attempt, **details)
    child.metrics.count_retry(stage, error)
    if run is not None:
        with suppress(*INFRASTRUCTURE_ERRORS):  # then the lease stays, but the retry has the same id and may claim it
            run.release(_code_of(error), counts_as_attempt=counts_as_attempt)
    work, has_limit = child.settings.work, run is None or not counts_as_attempt  # else attempts are the limit
    delay: float = get_exponential_backoff_interval(1, task.request.retries, int(work.retry_cap), full_jitter=True)
    if isinstance(error, TemporaryError):
        delay = max(delay, min(error.retry_after_seconds, work.retry_cap))
    raise task.retry(exc=error, countdown=delay + work.retry_base, max_retries=work.max_retries if has_limit else None)


def _code_of(error: Exception) -> str:
    if isinstance(error, TemporaryError):
        return error.refusal.code
    if isinstance(error, SoftTimeLimitExceeded):
        return TIME_LIMIT
    return INFRASTRUCTURE_ERROR if isinstance(error, INFRASTRUCTURE_ERRORS) else INTERNAL_ERROR

"""The tasks, in the order they run, under run_stage(): claim, run, record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Literal, NoReturn

import structlog
from celery import Task
from celery.exceptions import Ignore
from celery.utils.time import get_exponential_backoff_interval
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pipeline import traces
from pipeline.celery import app
from pipeline.child import Child, current
from pipeline.run import Run
from pipeline.time_limit import time_limited
from stages import animate as animating
from stages import finalize as finalizing
from stages import normalize as normalizing
from stages import resize as resizing
from stages import validate as validating
from stages.crop import crop
from stages.errors import StageError
from stages.fit import fit
from stages.grayscale import grayscale
from stages.rendition import Rendition
from storage.documents import OUTPUT, Kind, StageState
from storage.errors import TRANSIENT

Work = Callable[[Run], Mapping[str, Any]]
OPERATIONS: dict[Kind, Callable[..., Rendition]] = {Kind.CROP: crop, Kind.GRAYSCALE: grayscale, Kind.RESIZE: fit}
INFRASTRUCTURE = (*TRANSIENT, RedisConnectionError, RedisTimeoutError)

log = structlog.get_logger("pipeline")


def run_stage(task: Task[Any, Any], job_id: str, stage: str, work: Work) -> None:
    """Claim the stage, run `work`, record what came of it: the one place that does.

    Returns when the canvas may go on: the stage is done, now or before. Raises `Ignore` when another run has the stage,
    `StageError` when the image is refused, and Celery's `Retry` when another run is to try again.
    """
    child = current()
    if (task.request.delivery_info or {}).get("redelivered"):
        child.metrics.redelivered(stage)
    traces.note(task_id=job_id, stage=stage)
    with structlog.contextvars.bound_contextvars(task_id=job_id, stage=stage):
        run = None
        try:
            with time_limited():
                run = Run.claim(child, job_id, stage, task_id=str(task.request.id), worker=str(task.request.hostname))
                if run is None:
                    _skip_or_ignore(child, job_id, stage)
                    return
                run.introduce()
                child.metrics.claimed(run.job, stage)
                _admit(run)
                with child.metrics.timed(stage):
                    _perform(run, work)
        except INFRASTRUCTURE as error:
            _try_again(task, run, error, stage, blameless=True)
        except (Ignore, StageError):
            raise
        except Exception as error:  # noqa: BLE001  # a bug or the time limit: this attempt counts
            _try_again(task, run, error, stage, blameless=False)


def _admit(run: Run) -> None:
    """Raise `Ignore` when the claimed stage is not to be worked on."""
    if run.attempts_exceeded:
        run.mark_dead(
            "attempts_exhausted",
            "Processing this image stopped its worker too many times.",
        )
        raise Ignore
    if run.is_out_of_order:
        run.release("came before the stages that it needs", blameless=True)
        run.came_to("out_of_order")
        raise Ignore


def _skip_or_ignore(child: Child, job_id: str, stage: str) -> None:
    job = child.ledger.get(job_id)
    record = job.stages.get(stage) if job else None
    if record is None or record.state is not StageState.DONE:
        child.metrics.came_of(stage, "ignored")
        traces.note(outcome="ignored")
        log.info("stage.ignored", state=record.state if record else None)
        raise Ignore
    child.metrics.came_of(stage, "skipped")
    traces.note(outcome="skipped")
    log.info("stage.skipped")


def _perform(run: Run, work: Work) -> None:
    try:
        result = work(run)
    except StageError as refusal:
        run.refuse(refusal)
        raise
    if not run.complete(result):
        raise Ignore


def _try_again(task: Task[Any, Any], run: Run | None, error: Exception, stage: str, *, blameless: bool) -> NoReturn:
    child = current()
    log.warning(
        "stage.retried",
        error=repr(error),
        blameless=blameless,
        exc_info=None if blameless else error,
    )
    if run is not None:
        if not blameless and run.exhausted:
            run.mark_dead("internal_error", "Processing this image failed again and again.")
            raise Ignore
        with suppress(*INFRASTRUCTURE):  # the lease stays, and this same message may take it over
            run.release(f"{type(error).__name__}: {error}", blameless=blameless)
    child.metrics.came_of(stage, "retried")
    traces.note(outcome="retried")
    child.metrics.retried(stage, error)
    work = child.settings.work
    delay = get_exponential_backoff_interval(1, task.request.retries, int(work.retry_cap), full_jitter=True)
    raise task.retry(
        exc=error,
        countdown=delay + work.retry_base,
        max_retries=work.max_retries if blameless else None,
    )


@app.task(bind=True, name="validate", throws=(StageError,))
def validate(self: Task[Any, Any], job_id: str) -> None:
    """Refuse what is not an image that the limits allow."""

    def work(run: Run) -> Mapping[str, Any]:
        return asdict(validating.validate(run.original(), limits=run.settings.limits))

    run_stage(self, job_id, "validate", work)


@app.task(bind=True, name="normalize", throws=(StageError,))
def normalize(self: Task[Any, Any], job_id: str) -> None:
    """Decode the original, once, into the master that every rendition is made from, at the size of each."""

    def work(run: Run) -> Mapping[str, Any]:
        edges = run.job.operation.renditions
        masters = normalizing.pyramid(run.original(), edges=edges.values(), limits=run.settings.limits)
        return run.store_master({name: masters[edge] for name, edge in edges.items()})

    run_stage(self, job_id, "normalize", work)


@app.task(bind=True, name="resize", throws=(StageError,))
def resize(self: Task[Any, Any], job_id: str, name: str) -> None:
    """Make one rendition from the master."""

    def work(run: Run) -> Mapping[str, Any]:
        wanted = run.job.operation
        edge, quality = wanted.renditions[name], wanted.quality
        if wanted.animated and run.result("validate")["frames"] > 1:
            frames: Literal["gif", "webp"] = "gif" if wanted.format == "gif" else "webp"
            made = animating.animate(
                run.original(), edge=edge, limits=run.settings.limits, format=frames, quality=quality
            )
        else:
            still = "auto" if wanted.format == "gif" else wanted.format
            made = resizing.resize(
                run.master(name), edge=edge, format=still, quality=quality, background=wanted.background
            )
        return run.store_rendition(name, made)

    run_stage(self, job_id, name, work)


@app.task(bind=True, name="transform", throws=(StageError,))
def transform(self: Task[Any, Any], job_id: str) -> None:
    """Do a job's one operation on the original, at its full size."""

    def work(run: Run) -> Mapping[str, Any]:
        wanted = run.job.operation
        made = OPERATIONS[run.job.kind](
            run.original(),
            limits=run.settings.limits,
            format=wanted.format,
            quality=wanted.quality,
            background=wanted.background,
            **wanted.parameters,
        )
        return run.store_rendition(OUTPUT, made)

    run_stage(self, job_id, "transform", work)


@app.task(bind=True, name="finalize", throws=(StageError,))
def finalize(self: Task[Any, Any], job_id: str) -> None:
    """Sum up the job and remove what only its stages needed; the chord's results are not looked at."""

    def work(run: Run) -> Mapping[str, Any]:
        manifest = finalizing.finalize(original_bytes=run.job.original.bytes, renditions=run.renditions())
        run.prune()
        return asdict(manifest)

    run_stage(self, job_id, "finalize", work)


@app.task(bind=True, name="on_failed")
def on_failed(self: Task[Any, Any], failed_id: str, job_id: str) -> None:
    """Errback of the whole canvas: where the document says that the job still stands, have the sweeper look at it.

    Takes the task's id alone and is bound, so that Celery sends it as a message: an errback that takes the request
    would run in the worker's parent when a child was killed, where no store is open.
    """
    child = current()
    try:
        job = child.ledger.get(job_id)
        if job is not None and job.active:
            log.warning("job.stalled", task_id=job_id, failed=failed_id)
            dispatches = job.redispatches
            child.ledger.schedule_dispatch(job_id, delay_ms=child.settings.sweeper.backoff_ms(dispatches))
    except INFRASTRUCTURE as error:
        raise self.retry(exc=error, countdown=child.settings.work.retry_cap) from error

"""The tasks, in the order they run: each reads blobs, calls its stage, writes blobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal

import structlog
from celery import Task

from pipeline.celery import app
from pipeline.routing import ERRBACK, FINALIZE, NORMALIZE, RESIZE, TRANSFORM, VALIDATE
from pipeline.stage_run import INFRASTRUCTURE_ERRORS, StageRun, run_stage
from pipeline.worker_child import current_worker_child
from stages import animate as animation
from stages import finalize as finalize_stage
from stages import normalize as normalize_stage
from stages import resize as resize_stage
from stages import validate as validate_stage
from stages.crop import crop
from stages.errors import StageError
from stages.fit import fit
from stages.grayscale import grayscale
from stages.rendition import Rendition
from storage.documents import OUTPUT, Kind

OPERATION_BY_KIND: dict[Kind, Callable[..., Rendition]] = {Kind.CROP: crop, Kind.GRAYSCALE: grayscale, Kind.RESIZE: fit}

log = structlog.get_logger("pipeline")


@app.task(bind=True, name=VALIDATE, throws=(StageError,))
def validate(self: Task[Any, Any], job_id: str) -> None:
    """Refuse what is not an image that the limits allow."""

    def work(run: StageRun) -> Mapping[str, Any]:
        return asdict(validate_stage.validate(run.blobs.read_original(), limits=run.settings.limits))

    run_stage(self, job_id, VALIDATE, work)


@app.task(bind=True, name=NORMALIZE, throws=(StageError,))
def normalize(self: Task[Any, Any], job_id: str) -> None:
    """Decode the original, once, into the master that every rendition is made from, at the size of each."""

    def work(run: StageRun) -> Mapping[str, Any]:
        edges = run.job.operation.renditions
        masters = normalize_stage.build_master_pyramid(
            run.blobs.read_original(), edges=edges.values(), limits=run.settings.limits
        )
        return run.blobs.write_master({name: masters[edge] for name, edge in edges.items()})

    run_stage(self, job_id, NORMALIZE, work)


@app.task(bind=True, name=RESIZE, throws=(StageError,))
def resize(self: Task[Any, Any], job_id: str, name: str) -> None:
    """Make one rendition from the master; an animated one from the original."""

    def work(run: StageRun) -> Mapping[str, Any]:
        operation = run.job.operation
        edge, quality = operation.renditions[name], operation.quality
        if operation.animated and (run.job.stages[VALIDATE].result or {})["frames"] > 1:
            frames: Literal["gif", "webp"] = "gif" if operation.format == "gif" else "webp"
            rendition = animation.animate(
                run.blobs.read_original(), edge=edge, limits=run.settings.limits, format=frames, quality=quality
            )
        else:
            still = "auto" if operation.format == "gif" else operation.format
            rendition = resize_stage.resize(
                run.blobs.read_master(name), edge=edge, format=still, quality=quality, background=operation.background
            )
        return run.blobs.write_rendition(name, rendition)

    run_stage(self, job_id, name, work)


@app.task(bind=True, name=TRANSFORM, throws=(StageError,))
def transform(self: Task[Any, Any], job_id: str) -> None:
    """Do a job's one operation on the original, at its full size."""

    def work(run: StageRun) -> Mapping[str, Any]:
        operation = run.job.operation
        rendition = OPERATION_BY_KIND[run.job.kind](
            run.blobs.read_original(),
            limits=run.settings.limits,
            format=operation.format,
            quality=operation.quality,
            background=operation.background,
            **operation.parameters,
        )
        return run.blobs.write_rendition(OUTPUT, rendition)

    run_stage(self, job_id, TRANSFORM, work)


@app.task(bind=True, name=FINALIZE, throws=(StageError,))
def finalize(self: Task[Any, Any], job_id: str) -> None:
    """Sum up the job and remove what only its stages needed. The chord's results are not read: the document has all."""

    def work(run: StageRun) -> Mapping[str, Any]:
        facts = run.blobs.rendition_facts()
        manifest = finalize_stage.finalize(original_bytes=run.job.original.bytes, renditions=facts)
        run.blobs.remove_intermediates()
        return asdict(manifest)

    run_stage(self, job_id, FINALIZE, work)


@app.task(bind=True, name=ERRBACK)
def on_failed(self: Task[Any, Any], failed_id: str, job_id: str) -> None:
    """Errback of the whole canvas: where the job has not ended, have the sweeper look at it.

    Takes the failed message's id alone and is bound, so that Celery sends it as a message: an errback that takes the
    request would run in the worker's parent when a child was killed, where no store is open.
    """
    child = current_worker_child()
    try:
        job = child.ledger.get(job_id)
        if job is not None and job.is_active:
            log.warning("job.stalled", task_id=job_id, failed=failed_id)
            child.ledger.schedule_dispatch(job_id, delay_ms=child.settings.sweeper.backoff_ms(job.redispatches))
    except INFRASTRUCTURE_ERRORS as error:
        raise self.retry(exc=error, countdown=child.settings.work.retry_cap) from error

"""The Celery tasks in the order they run: each reads blobs, calls its stage and writes blobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

import structlog
from celery import Task

from pipeline.celery import app
from pipeline.exporting import export_renditions
from pipeline.fetching import fetch_original
from pipeline.operations import run_operation
from pipeline.presets.preset import read_spec
from pipeline.routing import ERRBACK, EXPORT, FETCH, FINALIZE, NORMALIZE, NOTIFY, RESIZE, TRANSFORM, VALIDATE
from pipeline.stage_run import INFRASTRUCTURE_ERRORS, StageRun, run_stage
from pipeline.worker_child import current_worker_child
from stages import animate as animation
from stages import finalize as finalize_stage
from stages import normalize as normalize_stage
from stages import resize as resize_stage
from stages import validate as validate_stage
from stages.errors import StageError
from stages.placeholder import build_placeholder
from stages.resize_plan import whole_edge
from storage.documents import OUTPUT
from storage.errors import JobUnreadable

log = structlog.get_logger("pipeline")


@app.task(bind=True, name=FETCH, throws=(StageError,))
def fetch(self: Task[Any, Any], job_id: str) -> None:
    """Fetch the original from where the client has said that it is."""
    run_stage(self, job_id, FETCH, fetch_original)


@app.task(bind=True, name=VALIDATE, throws=(StageError,))
def validate(self: Task[Any, Any], job_id: str) -> None:
    """Check that the original is an image within the limits."""

    def work(run: StageRun) -> Mapping[str, Any]:
        original, animated = run.blobs.read_original(), run.job.operation.animated
        return asdict(validate_stage.validate(original, limits=run.settings.limits, animated=animated))

    run_stage(self, job_id, VALIDATE, work)


@app.task(bind=True, name=NORMALIZE, throws=(StageError,))
def normalize(self: Task[Any, Any], job_id: str) -> None:
    """Decode the original once, into a master in the size that each rendition needs and a placeholder."""

    def work(run: StageRun) -> Mapping[str, Any]:
        run.blobs.check_room_for_master(run.settings.blobs)
        operation = run.job.operation
        specs = {name: read_spec(operation, name) for name in operation.renditions}
        masters = normalize_stage.build_master_pyramid(
            run.blobs.read_original(), specs=specs, limits=run.settings.limits
        )
        *_, (name, smallest) = masters.items()
        placeholder = build_placeholder(smallest, background=specs[name].background)
        record = run.blobs.write_master(masters)
        return record | {"placeholder": asdict(placeholder)}

    run_stage(self, job_id, NORMALIZE, work)


@app.task(bind=True, name=RESIZE, throws=(StageError,))
def resize(self: Task[Any, Any], job_id: str, name: str) -> None:
    """Make one rendition from the master, with all its variants, or an animated one from the original."""

    def work(run: StageRun) -> Mapping[str, Any]:
        operation = run.job.operation
        spec, facts = read_spec(operation, name), run.job.stages[VALIDATE].result or {}
        size = (facts["width"], facts["height"])
        if operation.animated and facts["frames"] > 1:
            animated_format: Literal["gif", "webp"] = "gif" if operation.format == "gif" else "webp"
            rendition = animation.animate(
                run.blobs.read_original(),
                edge=whole_edge(size, spec),
                limits=run.settings.limits,
                format=animated_format,
                quality=operation.quality or spec.quality.get(animated_format),
            )
            return run.blobs.write_rendition(name, rendition)
        variants = resize_stage.resize(
            run.blobs.read_master(name),
            spec,
            original_size=size,
            limits=run.settings.limits,
            assets=run.blobs.assets,
        )
        if spec.has_variants:
            return run.blobs.write_variants(name, variants)
        (variant,) = variants
        return run.blobs.write_rendition(name, variant.rendition)

    run_stage(self, job_id, name, work)


@app.task(bind=True, name=TRANSFORM, throws=(StageError,))
def transform(self: Task[Any, Any], job_id: str) -> None:
    """Apply the job's operation, of one step or several, to the original at its full size."""

    def work(run: StageRun) -> Mapping[str, Any]:
        original, assets = run.blobs.read_original(), run.blobs.assets
        rendition = run_operation(run.job, original, limits=run.settings.limits, assets=assets)
        return run.blobs.write_rendition(OUTPUT, rendition)

    run_stage(self, job_id, TRANSFORM, work)


@app.task(bind=True, name=EXPORT, throws=(StageError,))
def export(self: Task[Any, Any], job_id: str) -> None:
    """Put the renditions into the bucket that the preset names."""
    run_stage(self, job_id, EXPORT, export_renditions)


@app.task(bind=True, name=FINALIZE, throws=(StageError,))
def finalize(self: Task[Any, Any], job_id: str) -> None:
    """Summarize the job and remove its intermediate blobs. It reads the document, not the results of the chord."""

    def work(run: StageRun) -> Mapping[str, Any]:
        facts = run.blobs.rendition_facts()
        manifest = finalize_stage.finalize(original_bytes=run.job.original.bytes, renditions=facts)
        run.blobs.remove_intermediates()
        return asdict(manifest)

    run_stage(self, job_id, FINALIZE, work)


@app.task(name=NOTIFY, ignore_result=True)
def notify(endpoint_id: str) -> None:
    """Send the deliveries of one endpoint that are due. Any number of such messages does no harm."""
    from pipeline.webhooks.sending import send_due_deliveries  # noqa: PLC0415  # the other pools need none of it

    send_due_deliveries(current_worker_child(), endpoint_id)


@app.task(bind=True, name=ERRBACK)
def on_failed(self: Task[Any, Any], failed_id: str, job_id: str) -> None:
    """Errback of the whole canvas: schedule a dispatch by the sweeper when the job has not ended.

    It is bound and takes only the id of the failed message, so that Celery sends it as a message. An errback that takes
    the request would run in the worker's parent after a child is killed, and the parent has no open stores.
    """
    child = current_worker_child()
    try:
        job = child.ledger.get(job_id)
        if job is not None and job.is_active:
            log.warning("job.stalled", task_id=job_id, failed=failed_id)
            child.ledger.schedule_dispatch(job_id, delay_ms=child.settings.sweeper.backoff_ms(job.redispatches))
    except JobUnreadable as error:
        log.warning("job.unreadable", task_id=job_id, failed=failed_id, error=error.reason)
    except INFRASTRUCTURE_ERRORS as error:
        raise self.retry(exc=error, countdown=child.settings.work.retry_cap) from error

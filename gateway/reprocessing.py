"""Process an ended job again from its original: what it makes this time, and the beginning of its next revision."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from gateway.permission import Permission
from gateway.problems import InvalidRequest, NotReprocessable, SourceGone
from gateway.submission.misspellings import describe_unknown
from gateway.submission.preset_rules import explain_missing_metadata
from gateway.webhooks.announcer import Announcer
from pipeline.presets.preset import DEFAULT, DEFAULT_FIELDS, Preset
from pipeline.presets.registry import Presets, PresetUnknown
from pipeline.settings import Settings
from pipeline.stage_order import stage_order
from storage.clock import now_ms
from storage.documents import Job, JobState, Kind, Lane, Operation
from storage.stores import Stores

ANY = Permission()
REPROCESSABLE_STATES = (JobState.DONE, JobState.FAILED, JobState.DEAD)


def resolve_again(
    job: Job, presets: Presets, *, preset_name: str | None = None, permission: Permission = ANY
) -> Operation:
    """Return what a job makes when it is processed again: the preset with this name, or its own, as it is now.

    Overrides stay where the preset allows them. One that is what an upload without it has cannot be told apart, so it
    is not kept. Jobs of one operation have no preset, and do the same again. Raises `InvalidRequest`, also if the job
    lacks metadata that the preset needs, and `PresetNotAllowed` where the permission is for other presets.
    """
    if job.kind is not Kind.PREVIEWS:
        if preset_name is not None:
            raise _invalid_preset(f"A job of the kind {job.kind} has no preset. Leave preset out.")
        permission.check_operation()
        return job.operation
    name = permission.choose_preset(preset_name or (job.operation.preset.name if job.operation.preset else DEFAULT))
    try:
        preset = presets.get(name)
    except PresetUnknown:
        names = [preset.name for preset in permission.list_presets(presets)]
        raise _invalid_preset(describe_unknown("preset", name, names)) from None
    if message := explain_missing_metadata(preset, job.metadata):
        raise _invalid_preset(f"{message} This job was uploaded without it.")
    return preset.resolve(_find_overrides(job.operation, preset))


def needs_reprocess(job: Job, operation: Operation) -> bool:
    """Whether the job has no results, or others than this operation makes of its original."""
    return job.state is not JobState.DONE or not job.operation.requests_same(operation)


async def reprocess_job(
    job: Job, operation: Operation, *, lane: Lane, stores: Stores, announcer: Announcer, settings: Settings
) -> Job:
    """Begin the next revision of a job and return it; the caller dispatches it. The results stay until it is done.

    An original that could not be fetched is fetched first.

    Raises `SourceGone` if the original is no longer kept, and `NotReprocessable`.
    """
    if job.state not in REPROCESSABLE_STATES:
        raise NotReprocessable(f"This job cannot be reprocessed now; its state is {job.state}. {_ADVICE}")
    is_stored = job.original.is_stored
    if not job.keeps_blobs or (is_stored and not await asyncio.to_thread(stores.blobs.exists, job.original.blob)):
        raise SourceGone("The original of this job is no longer kept. Submit the image as a new job.")
    order = stage_order(
        job.kind, operation.renditions, is_fetched=not is_stored, is_exported=operation.destination is not None
    )
    await announcer.announce(job)
    revised = await stores.jobs.reprocess(
        job,
        operation,
        stages=[name for names in order for name in names],
        lane=lane,
        next_dispatch_ms=now_ms() + int(settings.sweeper.accept_patience * 1000),
        announces_renditions=await announcer.renditions.are_wanted(job),
        limits=asdict(settings.limits.raised_to(job.limits)),
    )
    if revised is None:
        raise NotReprocessable(f"This job has just changed. {_ADVICE}")
    return revised


_ADVICE = "Only a job that is done, failed or dead can be reprocessed. Look at its status."


def _find_overrides(operation: Operation, preset: Preset) -> dict[str, Any]:
    """Return the overrides of an operation that the preset allows. The format gif is for animations only."""
    defaults, values = Operation().model_dump(), operation.model_dump(include=set(DEFAULT_FIELDS))
    allowed = {name: values[name] for name in DEFAULT_FIELDS if name in preset.definition.fields}
    overrides: dict[str, Any] = {name: value for name, value in allowed.items() if value != defaults[name]}
    if overrides.get("format") == "gif" and "animated" not in overrides:
        del overrides["format"]
    return overrides


def _invalid_preset(message: str) -> InvalidRequest:
    errors = [{"pointer": "/body/preset", "rule": "choice", "message": message}]
    return InvalidRequest("The request breaks the rules that errors lists.", errors=errors)

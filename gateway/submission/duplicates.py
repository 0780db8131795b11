"""Duplicates: a job of the same bytes and the same request ends at once with copies of the earlier results."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.image_schemas import has_facts
from pipeline.stage_order import stage_by_rendition
from storage.clock import now_ms
from storage.documents import Job, blob_key, result_blobs
from storage.outbox import with_end_event
from storage.stores import Stores


async def copy_from_duplicate(job: Job, stores: Stores) -> Job:
    """Return the job, finished with copies of a duplicate's renditions if there is one.

    One that an older version has made is none: it lacks facts of its original, and its pixels may differ.
    """
    duplicate = await stores.jobs.find_duplicate(job)
    if duplicate is None or not has_facts(duplicate):
        return job
    stages = {name: duplicate.stages[name] for name in job.stages}  # the duplicate's original may have been fetched
    try:
        for stage in stage_by_rendition(duplicate).values():
            result = duplicate.stages[stage].result or {}
            for blob in sorted(result_blobs(result)):
                await asyncio.to_thread(stores.blobs.copy, blob, _own_key(job, blob))
            stages[stage] = duplicate.stages[stage].model_copy(update={"result": _with_own_keys(job, result)})
    except FileNotFoundError:  # the duplicate expired meanwhile
        return job
    now = now_ms()
    changes = {"state": duplicate.state, "finished_ms": now, "finalizations": 1, "stages": stages}
    origin = {"deduplicated_from": duplicate.id, "revision": duplicate.revision}
    ended = job.model_copy(update={**changes, **origin})
    return ended.model_copy(update=with_end_event(ended, now=now))


def _with_own_keys(job: Job, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the stage of a rendition recorded, with the keys of the job's own blobs, in its variants too."""
    variants = {"variants": [_with_own_keys(job, each) for each in result["variants"]]} if "variants" in result else {}
    return {**result, "blob": _own_key(job, result["blob"]), **variants}


def _own_key(job: Job, blob: str) -> str:
    return blob_key(job.id, blob.rpartition("/")[2])

"""Duplicates: a job of the same bytes and the same request ends at once with copies of the earlier results."""

from __future__ import annotations

import asyncio

from gateway.image_schemas import has_facts
from pipeline.stage_order import stage_by_rendition
from storage.clock import now_ms
from storage.documents import Job, blob_key
from storage.stores import Stores


async def copy_from_duplicate(job: Job, stores: Stores) -> Job:
    """Return the job, finished with copies of a duplicate's renditions if there is one.

    One that an older version has made is none: it lacks facts of its original, and its pixels may differ.
    """
    duplicate = await stores.jobs.find_duplicate(job)
    if duplicate is None or not has_facts(duplicate):
        return job
    stages = dict(duplicate.stages)
    try:
        for stage in stage_by_rendition(duplicate).values():
            result = dict(duplicate.stages[stage].result or {})
            blob = blob_key(job.id, result["blob"].rpartition("/")[2])
            await asyncio.to_thread(stores.blobs.copy, result["blob"], blob)
            stages[stage] = duplicate.stages[stage].model_copy(update={"result": result | {"blob": blob}})
    except FileNotFoundError:  # the duplicate expired meanwhile
        return job
    changes = {"state": duplicate.state, "finished_ms": now_ms(), "finalizations": 1, "stages": stages}
    origin = {"deduplicated_from": duplicate.id, "revision": duplicate.revision}
    return job.model_copy(update={**changes, **origin})

"""Ends jobs of images on demand as the workers do, without any."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from pipeline.stage_order import stage_by_rendition
from storage.clock import now_ms
from storage.documents import Job, JobState, StageRecord, StageState
from storage.stores import Stores


async def finish_image(stores: Stores, job_id: str, content: bytes = b"an image") -> Job:
    """Complete the job, with these bytes as its file."""
    job = await stores.jobs.get(job_id)
    ((name, stage),) = stage_by_rendition(job).items()
    definition: Any = job.operation.renditions[name]
    (format_,), (dpr,) = definition["formats"], definition["dpr"]
    blob = f"{job_id}/{name}.{format_}.1"
    stores.blobs.put(blob, content)
    record = {
        "blob": blob,
        "format": format_,
        "media_type": f"image/{format_}",
        "width": 1,
        "height": 1,
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
        **({} if dpr == 1 else {"dpr": dpr}),
    }
    done = {each: StageRecord(state=StageState.DONE) for each in job.stages}
    done[stage] = StageRecord(state=StageState.DONE, result=record)
    return await end_job(stores, job_id, state=JobState.DONE, stages=done)


async def end_job(stores: Stores, job_id: str, **changes: Any) -> Job:
    """End a job with these changes."""
    job = await stores.jobs.get(job_id)
    ended = job.model_copy(update={"finished_ms": now_ms(), "version": job.version + 1, **changes})
    await ended.replace()
    return ended

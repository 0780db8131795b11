"""Jobs whose original is still to be fetched."""

from __future__ import annotations

from typing import Any

from pipeline.stage_order import stage_order
from storage.documents import Job, Kind, Original, Source, StageRecord, blob_key
from tests.support.fakes import RENDITIONS, new_job, new_job_id


def new_unfetched_job(address: str, *, key: str | None = None, **fields: Any) -> Job:
    """Return a valid job of previews, bound to no database, whose original is to be fetched from there."""
    job_id, order = new_job_id(), stage_order(Kind.PREVIEWS, RENDITIONS, is_fetched=True)
    original = Original(
        blob=blob_key(job_id, "original"), name="a.jpg", media_type="application/octet-stream", bytes=0, sha256=""
    )
    stages = {name: StageRecord() for names in order for name in names}
    source = Source(address=address, key=key)
    return new_job(**{"id": job_id, "stages": stages, "original": original, "source": source, **fields})

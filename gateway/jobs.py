"""Jobs: one job, whole, stage by stage."""

from __future__ import annotations

from fastapi import APIRouter, Response

from gateway.dependencies import JobsDep
from gateway.schemas import JobStatus
from gateway.uploads import POLL_SECONDS

router = APIRouter(tags=["jobs"])


@router.get("/task-status/{task_id}")
async def task_status(task_id: str, response: Response, jobs: JobsDep) -> JobStatus:
    """Show the job: its state, its progress and every stage with waits, run times, attempts, worker and failure."""
    job = await jobs.get(task_id)
    response.headers["Cache-Control"] = "no-cache"
    if job.active:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return JobStatus.of(job)

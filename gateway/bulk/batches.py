"""The next jobs that a bulk action looks at, in the order of their ids."""

from __future__ import annotations

from dataclasses import dataclass

from storage.bulk_actions import BulkAction
from storage.documents import Job
from storage.jobs import Jobs

BATCH = 50
"""Jobs that are read at a time."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some jobs by their ids in order, None for those that the owner does not have, and where the next ones begin."""

    jobs: dict[str, Job | None]
    next_after_id: str | None
    """The cursor behind this batch; None if nothing follows."""


async def read_batch(action: BulkAction, jobs: Jobs) -> Batch:
    """Return the jobs behind the cursor of an action."""
    if action.filter is None:
        ids = [job_id for job_id in action.task_ids if job_id > action.cursor]
        found = {job.id: job for job in await jobs.get_many(ids[:BATCH]) if action.owner in {None, job.owner}}
        next_after_id = ids[BATCH - 1] if len(ids) > BATCH else None
        return Batch({job_id: found.get(job_id) for job_id in ids[:BATCH]}, next_after_id)
    matching, next_after_id = await jobs.find_matching(
        action.filter.build_query(), owner=action.owner, after_id=action.cursor, before_id=action.id, limit=BATCH
    )
    return Batch({job.id: job for job in matching}, next_after_id)

"""The gateway's access to the job documents, asynchronous: insert, read, retry, and the sweeper's queries."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from storage.clock import now_ms
from storage.documents import ACTIVE_STATES, Failure, Job, JobState, Kind
from storage.errors import JobNotFound

LIST_TIMEOUT_MS = 2000
_INCREMENT_VERSION = {"version": 1}
_ACTIVE = {"$in": [state.value for state in ACTIVE_STATES]}


class Jobs:
    """Job documents, through beanie. Needs `open_stores`, which binds the documents to their database."""

    def __init__(self, *, list_timeout_ms: int = LIST_TIMEOUT_MS) -> None:
        self._list_timeout_ms = list_timeout_ms

    async def insert(self, job: Job) -> None:
        """Insert a new job. It is journaled on a majority of the replica set, so it is not lost."""
        await job.insert()

    async def get(self, job_id: str, *, owner: str | None = None) -> Job:
        """Return the job, or raise `JobNotFound`. With an `owner`, jobs of other owners are not found either."""
        job = await Job.get(job_id)
        if job is None or (owner is not None and job.owner != owner):
            raise JobNotFound(job_id)
        return job

    async def get_many(self, job_ids: Collection[str]) -> list[Job]:
        """Return the jobs that exist, in no particular order."""
        return await Job.find({"_id": {"$in": list(job_ids)}}).to_list()

    async def get_versions(self, job_ids: Collection[str]) -> dict[str, int]:
        """Return the version of each job that exists, by its id."""
        cursor = Job.get_motor_collection().find({"_id": {"$in": list(job_ids)}}, {"version": 1})
        return {document["_id"]: document.get("version", 0) async for document in cursor}

    async def page(
        self, *, owner: str | None, state: JobState | None, kind: Kind | None, before_id: str | None, limit: int
    ) -> list[Job]:
        """Return jobs with an id below `before_id`, newest first: ids begin with a timestamp.

        Raises pymongo's `ExecutionTimeout` when the server has worked on it for too long.
        """
        filters = {"owner": owner, "state": state, "kind": kind}
        query: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
        if before_id is not None:
            query["_id"] = {"$lt": before_id}
        found = Job.find(query, max_time_ms=self._list_timeout_ms)
        return await found.sort("-_id").limit(limit).to_list()

    async def find_duplicate(self, job: Job) -> Job | None:
        """Return a done job of the same owner, with the same bytes and the same request, that still has its blobs."""
        query = {"original.sha256": job.original.sha256, "state": JobState.DONE.value, "kind": job.kind.value}
        other: Job
        async for other in Job.find(query).sort("-_id"):
            if (other.owner, other.operation, other.blobs_removed_ms) == (job.owner, job.operation, None):
                return other
        return None

    async def cancel(self, job: Job) -> bool:
        """Cancel an active job; later writes of its stage runs are fenced. False when it has already ended."""
        now = now_ms()
        changes = {"state": JobState.CANCELLED.value, "finished_ms": now, "updated_ms": now}
        condition = {"_id": job.id, "state": _ACTIVE}
        result = await Job.get_motor_collection().update_one(condition, {"$set": changes, "$inc": _INCREMENT_VERSION})
        return bool(result.modified_count)

    async def remove(self, job_id: str) -> None:
        """Delete the document of an ended job. Runs of messages that still name it are ignored."""
        await Job.find({"_id": job_id, "state": {"$nin": [state.value for state in ACTIVE_STATES]}}).delete()

    async def retry(self, job: Job, *, next_dispatch_ms: int) -> Job | None:
        """Reset an ended job for a retry and return it. None when it has changed since it was read, or has no blobs."""
        retried = job.reset_for_retry(now_ms(), next_dispatch_ms=next_dispatch_ms)
        before, after = (each.model_dump(mode="json", by_alias=True, exclude={"version"}) for each in (job, retried))
        changes = {name: value for name, value in after.items() if value != before[name]}
        condition = {"_id": job.id, "state": job.state.value, "generation": job.generation, "blobs_removed_ms": None}
        result = await Job.get_motor_collection().update_one(condition, {"$set": changes, "$inc": _INCREMENT_VERSION})
        return retried if result.modified_count else None

    async def find_due(self, *, limit: int) -> list[Job]:
        """Return active jobs whose `next_dispatch_ms` has passed, the longest waiting first."""
        query = Job.find({"state": _ACTIVE, "next_dispatch_ms": {"$lte": now_ms()}})
        return await query.sort("+next_dispatch_ms").limit(limit).to_list()

    async def postpone(self, job: Job, *, until_ms: int) -> bool:
        """Have the sweeper look at the job again at `until_ms` (epoch ms), unless it changed since it was read."""
        return await self._update_if_unchanged(job, {"next_dispatch_ms": until_ms})

    async def redispatch(self, job: Job, *, next_dispatch_ms: int) -> Job | None:
        """Reserve one more dispatch and return the changed job; None when another caller has changed it first."""
        changes = {"generation": job.generation + 1, "dispatched_ms": now_ms(), "next_dispatch_ms": next_dispatch_ms}
        redispatched = job.model_copy(update=changes | {"version": job.version + 1})
        return redispatched if await self._update_if_unchanged(job, changes) else None

    async def undo_redispatch(self, job: Job, *, next_dispatch_ms: int) -> None:
        """Undo a dispatch that the broker did not take: an outage must not use up the job's redispatches."""
        await self._update_if_unchanged(job, {"generation": job.generation - 1, "next_dispatch_ms": next_dispatch_ms})

    async def mark_dead(self, job: Job, failure: Failure) -> bool:
        """Mark a job dead that has no redispatch left."""
        now = now_ms()
        return await self._update_if_unchanged(
            job, {"state": JobState.DEAD.value, "finished_ms": now, "failure": failure.model_dump()}
        )

    async def schedule_dispatch(self, job_id: str) -> None:
        """Have the sweeper look at an active job in its next round."""
        await Job.find_one({"_id": job_id, "state": _ACTIVE}).update({"$set": {"next_dispatch_ms": now_ms()}})

    async def find_with_blobs(self, states: list[JobState], *, before_ms: int, limit: int) -> list[Job]:
        """Return jobs that ended in one of `states` before `before_ms` (epoch ms) and still have blobs."""
        query = Job.find(
            {
                "state": {"$in": [state.value for state in states]},
                "finished_ms": {"$lt": before_ms},
                "blobs_removed_ms": None,
            }
        )
        return await query.limit(limit).to_list()

    async def mark_blobs_removed(self, job_id: str) -> None:
        """Record that the blobs of an ended job are removed."""
        await Job.find_one({"_id": job_id}).update({"$set": {"blobs_removed_ms": now_ms()}, "$inc": _INCREMENT_VERSION})

    async def delete_expired(self, *, before_ms: int) -> int:
        """Delete the documents of jobs whose blobs were removed before `before_ms` (epoch ms); return how many."""
        ended = {"$nin": [state.value for state in ACTIVE_STATES]}
        result = await Job.find({"state": ended, "blobs_removed_ms": {"$gt": 0, "$lt": before_ms}}).delete()
        return result.deleted_count if result else 0

    async def find_missing(self, job_ids: list[str]) -> list[str]:
        """Return the `job_ids` that have no document."""
        documents = await Job.get_motor_collection().find({"_id": {"$in": job_ids}}, {"_id": 1}).to_list(None)
        return sorted(set(job_ids) - {document["_id"] for document in documents})

    async def count_by_state(self) -> dict[JobState, int]:
        """Return the number of jobs in each state. Reads the whole collection once."""
        groups = Job.get_motor_collection().aggregate([{"$group": {"_id": "$state", "jobs": {"$sum": 1}}}])
        counts = {group["_id"]: group["jobs"] async for group in groups}
        return {state: counts.get(state.value, 0) for state in JobState}

    async def find_oldest(self, state: JobState) -> Job | None:
        """Return the oldest job in a state: ids begin with a timestamp."""
        return await Job.find({"state": state.value}).sort("+_id").first_or_none()

    async def _update_if_unchanged(self, job: Job, changes: dict[str, Any]) -> bool:
        condition = {
            "_id": job.id,
            "state": _ACTIVE,
            "generation": job.generation,
            "next_dispatch_ms": job.next_dispatch_ms,
        }
        update = {"$set": {"updated_ms": now_ms(), **changes}, "$inc": _INCREMENT_VERSION}
        result = await Job.get_motor_collection().update_one(condition, update)
        return bool(result.modified_count)

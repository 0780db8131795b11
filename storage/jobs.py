"""The gateway's access to the job documents, asynchronous: insert, read, retry, and what its loops look for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import UpdateOne
from pymongo.errors import ExecutionTimeout

from storage.clock import now_ms
from storage.document_reader import JobReader
from storage.documents import ACTIVE_STATES, Failure, Job, JobState, Kind, Lane, Operation
from storage.errors import JobNotFound
from storage.job_ends import JobEnd, Moment, find_job_ends
from storage.outbox import OUTBOX_FIELDS, Outbox, end_changes, expiry_changes, read_outbox
from storage.revisions import begin_revision, restore_changes
from storage.sources import forget_query

Document = dict[str, Any]
LIST_TIMEOUT_MS = 2000
MAX_QUERIES = 10
"""Queries of one method for as many jobs as it is to return. Only unreadable documents need more than one."""
MAX_SKIPPED = 100
"""Unreadable documents that one query for a single job, or for those of unknown states, reads at most."""
CLOCK_ERROR_MS = 5000
"""A job that was updated so long after now was updated before the database's clock was set back."""
UNREADABLE_DELAY_MS = 60_000
"""How long the sweeper does not look at an unreadable document again."""
_INCREMENT_VERSION = {"version": 1}
_ACTIVE = {"$in": [state.value for state in ACTIVE_STATES]}
_ENDED = {"$in": [state.value for state in JobState if state not in ACTIVE_STATES]}
_PLACEHOLDER = "stages.normalize.result.placeholder"
_NO_CHILD = {"$ne": Kind.IMAGE.value}
_EMPTY_OUTBOX: Document = {"outbox": {}, "outbox_ms": None}
_KEEPS_BLOBS = {"expiring_ms": None, "blobs_removed_ms": None}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list: its jobs, and the id that the next page is below; None on the last page."""

    jobs: list[Job]
    next_before_id: str | None


class Jobs:
    """Job documents, through beanie. Needs `open_stores`, which binds the documents to their database.

    Documents that this version cannot read are skipped, and never changed but for `next_dispatch_ms`.
    """

    def __init__(self, *, list_timeout_ms: int = LIST_TIMEOUT_MS, reader: JobReader[Job] | None = None) -> None:
        self._list_timeout_ms = list_timeout_ms
        self._reader = reader or JobReader(Job)

    async def insert(self, job: Job) -> None:
        """Insert a new job. It is journaled on a majority of the replica set, so it is not lost."""
        await _collection().insert_one(job.model_dump(by_alias=True))  # beanie's encoder takes ten times as long

    async def get(self, job_id: str, *, owner: str | None = None, token_id: str | None = None) -> Job:
        """Return the job, or raise `JobNotFound` or `JobUnreadable`.

        With an `owner`, jobs of other owners are not found; with a `token_id`, neither are those of other tokens.
        """
        document = await _collection().find_one({"_id": job_id})
        wanted = {name: value for name, value in {"owner": owner, "token_id": token_id}.items() if value is not None}
        if document is None or any(document.get(name) != value for name, value in wanted.items()):
            raise JobNotFound(job_id)
        return self._reader.read(document)

    async def get_many(self, job_ids: Collection[str]) -> list[Job]:
        """Return the jobs that exist, in no particular order."""
        return self._reader.read_all(await _collection().find({"_id": {"$in": list(job_ids)}}).to_list(None))

    async def get_versions(self, job_ids: Collection[str]) -> dict[str, int]:
        """Return the version of each job that exists, by its id."""
        cursor = _collection().find({"_id": {"$in": list(job_ids)}}, {"version": 1})
        return {document["_id"]: document.get("version", 0) async for document in cursor}

    async def page(
        self, *, owner: str | None, state: JobState | None, kind: Kind | None, before_id: str | None, limit: int
    ) -> Page:
        """Return `limit` jobs with an id below `before_id`, newest first: ids begin with a timestamp.

        Images on demand are only in a page of that kind.
        A page has fewer jobs if it is the last one, or if it has skipped very many unreadable documents. Raises
        pymongo's `ExecutionTimeout` when the server has worked on it for too long.
        """
        filters = {"owner": owner, "state": state, "kind": kind}
        query: Document = {name: value for name, value in filters.items() if value is not None}
        query.setdefault("kind", _NO_CHILD)
        jobs: list[Job] = []
        for _ in range(MAX_QUERIES):
            below = {} if before_id is None else {"_id": {"$lt": before_id}}
            found = _collection().find(query | below, max_time_ms=self._list_timeout_ms).sort("_id", -1)
            missing = limit - len(jobs)
            documents = await found.limit(missing + 1).to_list(None)  # one more, to know whether there is a next page
            jobs += self._reader.read_all(documents[:missing])
            if len(documents) <= missing:
                return Page(jobs, None)
            before_id = documents[missing - 1]["_id"]
            if len(jobs) == limit:
                break
        return Page(jobs, before_id)

    async def find_matching(
        self, query: Document, *, owner: str | None, after_id: str, before_id: str, limit: int
    ) -> tuple[list[Job], str | None]:
        """Return a batch of jobs between two ids that match a query, the oldest first, and where the next one begins.

        That is the `after_id` of the next call; None if there are no more. Unreadable documents are left out.
        """
        found = _collection().find(_narrow(query, owner, after_id, before_id)).sort("_id", 1).limit(limit)
        documents = await found.to_list(None)
        return self._reader.read_all(documents), documents[-1]["_id"] if len(documents) == limit else None

    async def count_matching(self, query: Document, *, owner: str | None, before_id: str) -> int | None:
        """Return how many jobs below an id match a query; None if the server takes too long to count them."""
        match = {"$match": _narrow(query, owner, "", before_id)}
        pipeline = [match, {"$group": {"_id": None, "jobs": {"$sum": 1}}}]
        try:
            groups = _collection().aggregate(pipeline, maxTimeMS=self._list_timeout_ms)
            counts: list[int] = [group["jobs"] async for group in groups]
        except ExecutionTimeout:
            return None
        return sum(counts)

    async def find_duplicate(self, job: Job) -> Job | None:
        """Return a done job of the same owner, with the same bytes and the same request, that still has its blobs.

        Of a token's job, it is one of the same token: others must not learn from it that it exists. A job whose
        original is not fetched yet has none.
        """
        if not job.original.is_stored:
            return None
        query = {"original.sha256": job.original.sha256, "state": JobState.DONE.value, "kind": job.kind.value}
        async for document in _collection().find(query).sort("_id", -1):
            other = self._reader.read_or_skip(document)
            is_same = other and other.owner == job.owner and other.operation.requests_same(job.operation)
            if other and is_same and other.keeps_blobs and job.token_id in {None, other.token_id}:
                return other
        return None

    async def cancel(self, job: Job) -> bool:
        """Cancel an active job; later writes of its stage runs are fenced.

        False when it has ended, or been retried or reprocessed, since it was read: its event names the life that ends.
        """
        now = now_ms()
        changes = {"state": JobState.CANCELLED.value, "finished_ms": now, "updated_ms": now}
        changes |= end_changes(job, JobState.CANCELLED, now=now) | forget_query(job)
        life = job.first_generation or {"$in": [0, None]}  # documents of old versions have none
        condition = {"_id": job.id, "state": _ACTIVE, "first_generation": life}
        result = await _collection().update_one(condition, {"$set": changes, "$inc": _INCREMENT_VERSION})
        return bool(result.modified_count)

    async def withdraw(self, job_id: str) -> None:
        """Delete the document of a job that nobody has learned of: that is no event."""
        await Job.find({"_id": job_id}).delete()

    async def remove(self, job_id: str) -> bool:
        """Delete the document of an ended job whose outbox is empty. Runs of messages that still name it are ignored.

        False when there is no such document.
        """
        condition = {"_id": job_id, "state": _ENDED, "outbox_ms": None}
        return bool((await _collection().delete_one(condition)).deleted_count)

    async def retry(
        self, job: Job, *, next_dispatch_ms: int, lane: Lane | None = None, limits: Mapping[str, int] | None = None
    ) -> Job | None:
        """Reset an ended job for a retry and return it. None when it has changed since it was read, or has no blobs.

        Its messages take another `lane`, and it has other `limits`, if they are given.
        """
        retried = job.reset_for_retry(now_ms(), next_dispatch_ms=next_dispatch_ms)
        retried = retried.model_copy(update={"lane": lane or job.lane, "limits": dict(limits or job.limits)})
        before, after = (each.model_dump(mode="json", by_alias=True, exclude={"version"}) for each in (job, retried))
        changes = _find_changes(before, after)
        return retried if await self._update_if_ended(job, changes) else None

    async def reprocess(  # noqa: PLR0913  # each is part of the same update
        self,
        job: Job,
        operation: Operation,
        *,
        stages: Collection[str],
        lane: Lane,
        next_dispatch_ms: int,
        announces_renditions: bool = False,
        limits: Mapping[str, int] | None = None,
    ) -> Job | None:
        """Begin a new revision of an ended job and return it; `stages` are those of the operation, in their order.

        None when the job has changed since it was read, has no blobs, or has events in its outbox.
        """
        now = now_ms()
        revised = begin_revision(job, operation, stages, lane=lane, now=now, next_dispatch_ms=next_dispatch_ms)
        given = {"announces_renditions": announces_renditions, "limits": dict(limits or job.limits)}
        revised = revised.model_copy(update=given)
        before, after = (each.model_dump(mode="json", by_alias=True, exclude={"version"}) for each in (job, revised))
        changes = {name: value for name, value in after.items() if value != before[name]}
        return revised if await self._update_if_ended(job, changes) else None

    async def find_due(self, *, limit: int) -> list[Job]:
        """Return active jobs whose `next_dispatch_ms` has passed, the longest waiting first.

        Unreadable documents are postponed, or they would be the longest waiting ones for ever.
        """
        due = {"state": _ACTIVE, "next_dispatch_ms": {"$lte": now_ms()}}
        jobs: list[Job] = []
        for _ in range(MAX_QUERIES):
            documents = await _collection().find(due).sort("next_dispatch_ms", 1).limit(limit).to_list(None)
            jobs = self._reader.read_all(documents)
            if len(jobs) < len(documents):
                unreadable = {document["_id"] for document in documents} - {job.id for job in jobs}
                postponed = {"next_dispatch_ms": now_ms() + UNREADABLE_DELAY_MS}
                await _collection().update_many({"_id": {"$in": list(unreadable)}, **due}, {"$set": postponed})
            if jobs or len(documents) < limit:
                break
        return jobs

    async def end_long_waits(self, *, longest_ms: int) -> None:
        """Make active jobs due that wait longer than `longest_ms` since before the database's clock was set back.

        Others that wait longer, such as for their next redispatch, have been updated before now.
        """
        now = now_ms()
        condition = {"state": _ACTIVE, "next_dispatch_ms": {"$gt": now + longest_ms}}
        condition |= {"updated_ms": {"$gt": now + CLOCK_ERROR_MS}}
        for found in await _collection().find(condition, {"_id": 1}).to_list(None):  # drivers repeat an update of one
            await _collection().update_one(condition | found, {"$set": {"next_dispatch_ms": now}})

    async def postpone(self, job: Job, *, until_ms: int) -> bool:
        """Have the sweeper look at the job again at `until_ms` (epoch ms), unless it changed since it was read."""
        return await self._update_if_unchanged(job, {"next_dispatch_ms": until_ms})

    async def redispatch(self, job: Job, *, next_dispatch_ms: int) -> Job | None:
        """Reserve one more dispatch and return the changed job; None when another caller has changed it first."""
        changes = {"generation": job.generation + 1, "dispatched_ms": now_ms(), "next_dispatch_ms": next_dispatch_ms}
        redispatched = job.model_copy(update=changes | {"version": job.version + 1})
        return redispatched if await self._update_if_unchanged(job, changes) else None

    async def undo_redispatch(self, job: Job, *, dispatched_ms: int, next_dispatch_ms: int) -> None:
        """Undo a dispatch that the broker did not take: an outage must not use up the job's redispatches.

        `dispatched_ms` is the time of the dispatch before (epoch ms): its message may still wait in a queue.
        """
        changes = {"dispatched_ms": dispatched_ms, "next_dispatch_ms": next_dispatch_ms}
        await self._update_if_unchanged(job, {"generation": job.generation - 1, **changes})

    async def mark_dead(self, job: Job, failure: Failure) -> bool:
        """Mark a job dead that has no redispatch left. One that is reprocessed gets its previous results back."""
        now = now_ms()
        dead = {"state": JobState.DEAD.value, "finished_ms": now, "failure": failure.model_dump()}
        dead |= end_changes(job, JobState.DEAD, now=now)
        return await self._update_if_unchanged(job, restore_changes(job, failure, now=now) or dead)

    async def find_with_events(self, *, limit: int) -> list[Outbox]:
        """Return outboxes that are not empty, those whose last event is the oldest first, without the postponed ones.

        Those that cannot be read are postponed, or they would be the first ones for ever.
        """
        outboxes: list[Outbox] = []
        for _ in range(MAX_QUERIES):
            documents = await self._read_outboxes(limit)
            is_all = len(documents) < limit
            now = now_ms()
            due = [each for each in documents if not now < each["outbox_ms"] <= now + UNREADABLE_DELAY_MS]
            outboxes = [outbox for each in due if (outbox := read_outbox(each)) is not None]
            if len(outboxes) < len(due):
                unreadable = {document["_id"] for document in due} - {outbox.job_id for outbox in outboxes}
                await self.postpone_events(unreadable)
            if outboxes or is_all or not due:
                break
        return outboxes

    async def postpone_events(self, job_ids: Collection[str]) -> None:
        """Have `find_with_events` leave these jobs out for `UNREADABLE_DELAY_MS`, or until they have one more event."""
        condition = {"_id": {"$in": list(job_ids)}, "outbox_ms": {"$gt": 0}}
        await _collection().update_many(condition, {"$set": {"outbox_ms": now_ms() + UNREADABLE_DELAY_MS}})

    async def clear_outbox(self, job: Job) -> bool:
        """Empty the outbox of a job; False when the job has changed since it was read, so that it may have an event."""
        condition = {"_id": job.id, "version": job.version}
        result = await _collection().update_one(condition, {"$set": _EMPTY_OUTBOX})
        return bool(result.matched_count)

    async def clear_outboxes(self, versions: Mapping[str, int]) -> int:
        """Empty the outboxes of jobs that still have these versions, in one request; return how many have them."""
        changes = [
            UpdateOne({"_id": job_id, "version": version}, {"$set": _EMPTY_OUTBOX})
            for job_id, version in versions.items()
        ]
        return (await _collection().bulk_write(changes, ordered=False)).matched_count if changes else 0

    async def find_oldest_event_ms(self) -> int | None:
        """Return when the oldest event that is in an outbox happened (epoch ms), of the first ones; None if none is."""
        documents = await self._read_outboxes(MAX_SKIPPED)
        outboxes = [outbox for document in documents if (outbox := read_outbox(document)) is not None]
        return min((event.ms for outbox in outboxes for event in outbox.events), default=None)

    async def schedule_dispatch(self, job_id: str) -> None:
        """Have the sweeper look at an active job in its next round."""
        await Job.find_one({"_id": job_id, "state": _ACTIVE}).update({"$set": {"next_dispatch_ms": now_ms()}})

    async def find_with_blobs(
        self, states: Collection[JobState], *, after_ms: int = 0, before_ms: int, limit: int
    ) -> list[Job]:
        """Return jobs that may still have blobs, in the order of their ends.

        They ended in one of `states`, after `after_ms` and before `before_ms` (epoch ms).
        """
        query = {
            "state": {"$in": [state.value for state in states]},
            "finished_ms": {"$gt": after_ms, "$lt": before_ms},
            "blobs_removed_ms": None,
        }
        jobs: list[Job] = []
        async for document in _collection().find(query).sort("finished_ms", 1):
            if job := self._reader.read_or_skip(document):
                jobs.append(job)
            if len(jobs) == limit:
                break
        return jobs

    async def mark_expiring(self, job: Job) -> bool:
        """Mark an ended job before its blobs are removed, so that it cannot be retried or reprocessed.

        False when it has been retried, reprocessed, deleted or marked since it was read: of several who remove an image
        on demand, the last one must not remove the blobs of the next one, which has the same id.
        """
        now = now_ms()
        unchanged = {"state": job.state.value, "finished_ms": job.finished_ms, "expiring_ms": job.expiring_ms}
        condition = {"_id": job.id, **unchanged}
        update = {"$set": {"expiring_ms": now, "updated_ms": now}, "$inc": _INCREMENT_VERSION}
        result = await _collection().update_one(condition, update)
        return bool(result.modified_count)

    async def mark_blobs_removed(self, job: Job) -> None:
        """Record that the blobs of an expiring job are removed. Its placeholder, a small image, goes with them."""
        now = now_ms()
        condition = {"_id": job.id, "expiring_ms": {"$gt": 0}, "blobs_removed_ms": None}
        changes = {"blobs_removed_ms": now, **expiry_changes(job, now=now), **forget_query(job)}
        update = {"$set": changes, "$unset": {_PLACEHOLDER: ""}, "$inc": _INCREMENT_VERSION}
        await Job.find_one(condition | {"state": _ENDED}).update(update)

    async def delete_expired(self, *, before_ms: int, limit: int) -> int:
        """Delete the documents of jobs whose blobs were removed before `before_ms` (epoch ms); return how many.

        Those that still have events are kept.
        """
        jobs = Job.get_motor_collection()
        condition = {"state": _ENDED, "blobs_removed_ms": {"$gt": 0, "$lt": before_ms}, "outbox_ms": None}
        found = [document["_id"] async for document in jobs.find(condition, {"_id": 1}).limit(limit)]
        if not found:
            return 0
        return int((await jobs.delete_many({"_id": {"$in": found}, **condition})).deleted_count)

    async def find_children(self, job_id: str) -> list[Job]:
        """Return the images that were made of a job on demand."""
        return self._reader.read_all(await _collection().find({"parent_id": job_id}).to_list(None))

    async def find_missing(self, job_ids: list[str]) -> list[str]:
        """Return the `job_ids` that have no document."""
        documents = await _collection().find({"_id": {"$in": job_ids}}, {"_id": 1}).to_list(None)
        return sorted(set(job_ids) - {document["_id"] for document in documents})

    async def find_without_blobs(self, job_ids: list[str]) -> list[str]:
        """Return the `job_ids` that have no document, or that of an ended job whose blobs were removed."""
        gone = {"_id": {"$in": job_ids}, "state": _ENDED, "blobs_removed_ms": {"$gt": 0}}
        documents = await _collection().find(gone, {"_id": 1}).to_list(None)
        return sorted({*await self.find_missing(job_ids), *(document["_id"] for document in documents)})

    async def find_ends(self, moment: Moment, *, owner: str | None, since_ms: int, limit: int) -> list[JobEnd]:
        """Return what happened to jobs of an owner since a time, as `find_job_ends` does."""
        return await find_job_ends(_collection(), moment, owner=owner, since_ms=since_ms, limit=limit)

    async def count_by_state(self) -> dict[JobState, int]:
        """Return the number of jobs in each state. Reads the whole collection once."""
        groups = _collection().aggregate([{"$group": {"_id": "$state", "jobs": {"$sum": 1}}}])
        counts = {group["_id"]: group["jobs"] async for group in groups}
        if unknown := set(counts) - set(JobState):  # no other query finds these
            documents = _collection().find({"state": {"$in": list(unknown)}}).limit(MAX_SKIPPED)
            self._reader.read_all(await documents.to_list(None))
        return {state: counts.get(state.value, 0) for state in JobState}

    async def find_oldest(self, state: JobState) -> Job | None:
        """Return the oldest job in a state: ids begin with a timestamp, except those of images on demand."""
        for limit in (1, MAX_SKIPPED + 1):
            found = _collection().find({"state": state.value, "kind": _NO_CHILD}).sort("_id", 1).limit(limit)
            documents = await found.to_list(None)
            if jobs := self._reader.read_all(documents):
                return jobs[0]
            if not documents:
                break
        return None

    async def count_unreadable(self) -> int:
        """Return how many of the unreadable documents that were found so far exist and are still unreadable."""
        known = self._reader.unreadable_ids
        if known:
            documents = await _collection().find({"_id": {"$in": list(known.values())}}).to_list(None)
            unreadable = {str(document["_id"]) for document in documents if self._reader.read_or_skip(document) is None}
            for job_id in known.keys() - unreadable:
                del known[job_id]
        return len(known)

    async def _read_outboxes(self, limit: int) -> list[Document]:
        """Return documents with events, without all the rest of them, those whose last event is the oldest first."""
        found = _collection().find({"outbox_ms": {"$gt": 0}}, dict.fromkeys(OUTBOX_FIELDS, 1))
        return await found.sort("outbox_ms", 1).limit(limit).to_list(None)

    async def _update_if_ended(self, job: Job, changes: dict[str, Any]) -> bool:
        """Change an ended job that keeps its blobs, has an empty outbox, and has not been active since it was read."""
        condition = {"_id": job.id, "state": job.state.value, "generation": job.generation, "outbox_ms": None}
        condition |= _KEEPS_BLOBS
        result = await _collection().update_one(condition, {"$set": changes, "$inc": _INCREMENT_VERSION})
        return bool(result.modified_count)

    async def _update_if_unchanged(self, job: Job, changes: dict[str, Any]) -> bool:
        condition = {
            "_id": job.id,
            "state": _ACTIVE,
            "generation": job.generation,
            "next_dispatch_ms": job.next_dispatch_ms,
        }
        update = {"$set": {"updated_ms": now_ms(), **changes}, "$inc": _INCREMENT_VERSION}
        result = await _collection().update_one(condition, update)
        return bool(result.modified_count)


def _collection() -> AsyncIOMotorCollection[Document]:
    return Job.get_motor_collection()


def _narrow(query: Document, owner: str | None, after_id: str, before_id: str) -> Document:
    """Return a query for the same jobs of one owner (None: of all), with ids between the two."""
    ids = query.get("_id", {})
    ids = ids | {"$gt": after_id, "$lt": min(before_id, ids.get("$lt", before_id))}
    return query | {"_id": ids} | ({} if owner is None else {"owner": owner})


def _find_changes(before: Document, after: Document) -> Document:
    """Return the changed fields, those of stages one by one: a stage may have fields of a newer version."""
    changes = {name: value for name, value in after.items() if name != "stages" and value != before[name]}
    for stage, record in after["stages"].items():
        earlier = before["stages"][stage]
        changes |= {f"stages.{stage}.{name}": value for name, value in record.items() if value != earlier[name]}
    return changes

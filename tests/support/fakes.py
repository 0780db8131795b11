"""Fakes, in memory: the stores and the queues, held by tests/contract to what the real ones do; a broker; requests."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from queue import Empty
from typing import Any, cast
from uuid import UUID, uuid4

from kombu import Message as Published
from pymongo.errors import DuplicateKeyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError
from starlette.requests import Request
from starlette.types import Message

from pipeline.celery import app, configure
from pipeline.notifications import SUBSCRIBED
from pipeline.queues.queues import QueueBacklog, Queues, RedisMemory
from pipeline.routing import QUEUES, STAGE_QUEUES, lane_queues
from pipeline.settings import Settings
from pipeline.stage_order import stage_order
from storage.bulk_actions import BulkAction, BulkActions, BulkPage, BulkState
from storage.clock import now_ms
from storage.delivery_store import Deliveries
from storage.documents import (
    KINDS_WITH_RENDITIONS,
    Failure,
    Job,
    JobRecord,
    JobState,
    Kind,
    Lane,
    Operation,
    Original,
    Source,
    StageRecord,
    blob_key,
)
from storage.errors import BulkActionNotFound, JobNotFound, UploadNotFound
from storage.idempotency import ABANDONED_MS, IdempotencyKey, IdempotencyKeys, KeyState
from storage.job_ends import JobEnd, Moment, build_event
from storage.jobs import CLOCK_ERROR_MS, UNREADABLE_DELAY_MS, Jobs, Page
from storage.leases import MAX_LEASES, Lease
from storage.outbox import Outbox, end_changes, expiry_changes
from storage.resumable_uploads import Part, ResumableUpload, ResumableUploads, UploadState
from storage.revisions import begin_revision, restore_changes
from storage.stores import Stores
from storage.tidying import Tidying
from storage.token_uses import KEEP_MS, TokenUses
from storage.webhook_store import Webhooks
from tests.support.webhook_fakes import FakeDeliveries, FakeWebhooks

RENDITIONS = {"small": 160, "medium": 640, "large": 1600}
UNREACHABLE_URL = "redis://127.0.0.1:1/0"  # a port that nothing listens on
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

NO_EVENTS: dict[str, Any] = {"outbox": {}, "outbox_ms": None}
"""The fields of a job whose outbox is empty."""


def new_job_id(*, at_ms: int | None = None) -> str:
    """Return an id as the gateway gives them, a UUIDv7, of now or of another time (epoch ms)."""
    random = uuid4().int & ((1 << 62) - 1)
    return str(UUID(int=(now_ms() if at_ms is None else at_ms) << 80 | 0x7 << 76 | 0b10 << 62 | random))


OUTPUT = {
    "blob": "hers/output.1",
    "format": "png",
    "media_type": "image/png",
    "width": 1,
    "height": 1,
    "bytes": 6,
    "sha256": sha256(b"output").hexdigest(),
}
"""What the stage of an operation records; its bytes are `output`."""


def new_job(
    kind: Kind = Kind.PREVIEWS,
    *,
    stages: Mapping[str, StageRecord] | None = None,
    renditions: Mapping[str, int] | None = None,
    **fields: Any,
) -> Job:
    """Return a valid job, due now and bound to no database; `stages` and `fields` replace what it would have."""
    job_id = fields.pop("id", None) or new_job_id()
    if renditions is None:
        renditions = RENDITIONS if kind in KINDS_WITH_RENDITIONS else {}
    is_exported = "operation" in fields and fields["operation"].destination is not None
    blank = {name: StageRecord() for step in stage_order(kind, renditions, is_exported=is_exported) for name in step}
    values = {
        "kind": kind,
        "next_dispatch_ms": now_ms(),
        "original": Original(
            blob=blob_key(job_id, "original"), name="cat.jpg", media_type="image/jpeg", bytes=1000, sha256=SHA256
        ),
        "operation": Operation(renditions=dict(renditions), parameters={"steps": []} if kind is Kind.PROCESS else {}),
        "stages": blank | dict(stages or {}),
    }
    record = JobRecord(id=job_id, **(values | fields))
    return Job.model_construct(**dict(record))


def _without_query(job: Job) -> Source | None:
    return job.source and job.source.model_copy(update={"address": job.source.public_address})


BOUNDARY = b"----edge"
FORM_TYPE = "multipart/form-data; boundary=----edge"


def part(name: str, content: bytes, *, filename: str | None = None) -> bytes:
    """Return one part of a multipart form, the boundary before it included."""
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    return b"--%s\r\nContent-Disposition: %s\r\n\r\n%s\r\n" % (BOUNDARY, disposition.encode(), content)


def form(*parts: bytes) -> bytes:
    """Return a whole multipart form."""
    return b"".join(parts) + b"--%s--\r\n" % BOUNDARY


class FakeRequest(Request):
    """A request whose body comes in given chunks; `chunks_read` counts those that were asked for."""

    def __init__(
        self, chunks: Iterable[bytes], content_type: str | None = FORM_TYPE, *, digest: str | None = None
    ) -> None:
        given = {b"content-type": content_type, b"content-digest": digest}
        headers = [(name, value.encode()) for name, value in given.items() if value is not None]
        super().__init__({"type": "http", "method": "POST", "headers": headers, "query_string": b""}, self._next)
        self.chunks_read = 0
        self._chunks = iter(chunks)

    async def _next(self) -> Message:
        chunk = next(self._chunks, None)
        self.chunks_read += chunk is not None
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}


class FakeJobs(Jobs):
    """Job documents in a dictionary, each handed out as a copy; `unreadable` more cannot be read."""

    def __init__(self) -> None:
        self.unreadable = 0
        self._documents: dict[str, Job] = {}

    async def insert(self, job: Job) -> None:
        if job.id in self._documents:
            raise DuplicateKeyError(job.id)
        self._documents[job.id] = job.model_copy(deep=True)

    async def get(self, job_id: str, *, owner: str | None = None, token_id: str | None = None) -> Job:
        job = self._documents.get(job_id)
        if job is None or owner not in {None, job.owner} or token_id not in {None, job.token_id}:
            raise JobNotFound(job_id)
        return job.model_copy(deep=True)

    async def get_many(self, job_ids: Collection[str]) -> list[Job]:
        return self._where(lambda job: job.id in job_ids)

    async def get_versions(self, job_ids: Collection[str]) -> dict[str, int]:
        return {job.id: job.version for job in await self.get_many(job_ids)}

    async def page(
        self, *, owner: str | None, state: JobState | None, kind: Kind | None, before_id: str | None, limit: int
    ) -> Page:
        found = self._where(
            lambda job: (
                owner in (None, job.owner)
                and state in (None, job.state)
                and (job.kind is kind or (kind is None and job.kind is not Kind.IMAGE))
                and (before_id is None or job.id < before_id)
            )
        )
        jobs = sorted(found, key=lambda job: job.id, reverse=True)[:limit]
        return Page(jobs, jobs[-1].id if len(found) > limit else None)

    async def find_matching(
        self, _: dict[str, Any], *, owner: str | None, after_id: str, before_id: str, limit: int
    ) -> tuple[list[Job], str | None]:
        """Return jobs of any query: those who ask look at each of them."""
        found = self._where(lambda job: owner in {None, job.owner} and after_id < job.id < before_id)
        jobs = sorted(found, key=lambda job: job.id)[:limit]
        return jobs, jobs[-1].id if len(jobs) == limit else None

    async def count_matching(self, _: dict[str, Any], *, owner: str | None, before_id: str) -> int | None:
        return len(self._where(lambda job: owner in {None, job.owner} and job.id < before_id))

    async def find_duplicate(self, job: Job) -> Job | None:
        def same(other: Job) -> list[object]:
            return [other.original.sha256, other.kind, other.owner, other.operation]

        duplicates = self._where(
            lambda other: (
                job.original.is_stored
                and other.state is JobState.DONE
                and other.keeps_blobs
                and same(other) == same(job)
                and job.token_id in {None, other.token_id}
            )
        )
        return max(duplicates, key=lambda other: other.id, default=None)

    async def cancel(self, job: Job) -> bool:
        found = self._documents.get(job.id)
        if found is None or not found.is_active or found.first_generation != job.first_generation:
            return False
        now = now_ms()
        changes = {
            "state": JobState.CANCELLED,
            "finished_ms": now,
            "updated_ms": now,
            "version": found.version + 1,
            "source": _without_query(found),
        }
        self._documents[job.id] = _apply(found, end_changes(job, JobState.CANCELLED, now=now), **changes)
        return True

    async def withdraw(self, job_id: str) -> None:
        self._documents.pop(job_id, None)

    async def remove(self, job_id: str) -> bool:
        found = self._documents.get(job_id)
        if found is None or found.is_active or found.outbox_ms is not None:
            return False
        del self._documents[job_id]
        return True

    async def retry(
        self, job: Job, *, next_dispatch_ms: int, lane: Lane | None = None, limits: Mapping[str, int] | None = None
    ) -> Job | None:
        if not self._can_start_again(job):
            return None
        retried = job.reset_for_retry(now_ms(), next_dispatch_ms=next_dispatch_ms)
        retried = retried.model_copy(update={"lane": lane or job.lane, "limits": dict(limits or job.limits)})
        self._documents[job.id] = retried.model_copy(update=NO_EVENTS, deep=True)
        return retried

    async def reprocess(  # noqa: PLR0913  # as the real one
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
        if not self._can_start_again(job):
            return None
        now = now_ms()
        revised = begin_revision(job, operation, stages, lane=lane, now=now, next_dispatch_ms=next_dispatch_ms)
        changes = {"announces_renditions": announces_renditions, "limits": dict(limits or job.limits)}
        revised = revised.model_copy(update=changes)
        self._documents[job.id] = revised.model_copy(update=NO_EVENTS, deep=True)
        return revised

    async def end_long_waits(self, *, longest_ms: int) -> None:
        now = now_ms()
        for job in self._where(lambda job: job.is_active and job.updated_ms > now + CLOCK_ERROR_MS):
            if job.next_dispatch_ms > now + longest_ms:
                self._replace(job, next_dispatch_ms=now)

    async def find_due(self, *, limit: int) -> list[Job]:
        now = now_ms()
        due = self._where(lambda job: job.is_active and job.next_dispatch_ms <= now)
        return sorted(due, key=lambda job: job.next_dispatch_ms)[:limit]

    async def postpone(self, job: Job, *, until_ms: int) -> bool:
        return self._replace(job, next_dispatch_ms=until_ms)

    async def redispatch(self, job: Job, *, next_dispatch_ms: int) -> Job | None:
        changes = {
            "generation": job.generation + 1,
            "dispatched_ms": now_ms(),
            "next_dispatch_ms": next_dispatch_ms,
        }
        taken = job.model_copy(update=changes | {"version": job.version + 1})
        return taken if self._replace(job, **changes) else None

    async def undo_redispatch(self, job: Job, *, dispatched_ms: int, next_dispatch_ms: int) -> None:
        changes = {"dispatched_ms": dispatched_ms, "next_dispatch_ms": next_dispatch_ms}
        self._replace(job, generation=job.generation - 1, **changes)

    async def mark_dead(self, job: Job, failure: Failure) -> bool:
        now = now_ms()
        dead = {"state": JobState.DEAD, "finished_ms": now, "failure": failure.model_dump()}
        restored = restore_changes(job, failure, now=now)
        return self._replace(job, **(restored or dead | end_changes(job, JobState.DEAD, now=now)))

    async def find_with_events(self, *, limit: int) -> list[Outbox]:
        now = now_ms()
        due = self._where(
            lambda job: job.outbox_ms is not None and not now < job.outbox_ms <= now + UNREADABLE_DELAY_MS
        )
        due = sorted(due, key=lambda job: job.outbox_ms or 0)[:limit]
        return [Outbox.model_validate(job.model_dump(by_alias=True)) for job in due]

    async def postpone_events(self, job_ids: Collection[str]) -> None:
        for job in (self._documents.get(job_id) for job_id in job_ids):
            if job is not None and job.outbox_ms is not None:
                job.outbox_ms = now_ms() + UNREADABLE_DELAY_MS

    async def clear_outbox(self, job: Job) -> bool:
        return bool(await self.clear_outboxes({job.id: job.version}))

    async def clear_outboxes(self, versions: Mapping[str, int]) -> int:
        unchanged = self._where(lambda job: versions.get(job.id) == job.version)
        for job in unchanged:
            self._documents[job.id] = job.model_copy(update=NO_EVENTS)
        return len(unchanged)

    async def find_oldest_event_ms(self) -> int | None:
        return min((event.ms for job in self._documents.values() for event in job.outbox.values()), default=None)

    async def schedule_dispatch(self, job_id: str) -> None:
        job = self._documents.get(job_id)
        if job and job.is_active:
            job.next_dispatch_ms = now_ms()

    async def find_with_blobs(
        self, states: Collection[JobState], *, after_ms: int = 0, before_ms: int, limit: int
    ) -> list[Job]:
        found = self._where(
            lambda job: (
                job.state in states
                and job.finished_ms is not None
                and after_ms < job.finished_ms < before_ms
                and job.blobs_removed_ms is None
            )
        )
        return sorted(found, key=lambda job: job.finished_ms or 0)[:limit]

    async def mark_expiring(self, job: Job) -> bool:
        found = self._documents.get(job.id)
        if found is None or (found.state, found.finished_ms) != (job.state, job.finished_ms):
            return False
        if found.expiring_ms != job.expiring_ms:
            return False
        found.expiring_ms = found.updated_ms = now_ms()
        found.version += 1
        return True

    async def mark_blobs_removed(self, job: Job) -> None:
        found = self._documents.get(job.id)
        if found and found.expiring_ms and found.blobs_removed_ms is None and not found.is_active:
            now = now_ms()
            changes = {"blobs_removed_ms": now, "version": found.version + 1, **expiry_changes(job, now=now)}
            found = self._documents[job.id] = _apply(found, changes, source=_without_query(found))
            normalize = found.stages.get("normalize")
            ((normalize and normalize.result) or {}).pop("placeholder", None)

    async def delete_expired(self, *, before_ms: int, limit: int) -> int:
        gone = self._where(
            lambda job: not job.is_active and 0 < (job.blobs_removed_ms or 0) < before_ms and job.outbox_ms is None
        )[:limit]
        for job in gone:
            del self._documents[job.id]
        return len(gone)

    async def find_children(self, job_id: str) -> list[Job]:
        return self._where(lambda job: job.parent_id == job_id)

    async def find_missing(self, job_ids: list[str]) -> list[str]:
        return sorted(set(job_ids) - set(self._documents))

    async def find_without_blobs(self, job_ids: list[str]) -> list[str]:
        kept = self._where(lambda job: job.is_active or not job.blobs_removed_ms)
        return sorted(set(job_ids) - {job.id for job in kept})

    async def find_ends(self, moment: Moment, *, owner: str | None, since_ms: int, limit: int) -> list[JobEnd]:
        found = [
            (ms, job)
            for job in self._where(lambda job: job.owner == owner and job.kind is not Kind.IMAGE)
            if (ms := getattr(job, moment)) is not None and ms >= since_ms
            if moment is Moment.END or job.state is JobState.DONE
        ]
        found.sort(key=lambda each: each[0])
        return [JobEnd(job.id, build_event(moment, job.state, ms, job.first_generation)) for ms, job in found[:limit]]

    async def count_by_state(self) -> dict[JobState, int]:
        states = Counter(job.state for job in self._documents.values())
        return {state: states[state] for state in JobState}

    async def find_oldest(self, state: JobState) -> Job | None:
        found = self._where(lambda job: job.state is state and job.kind is not Kind.IMAGE)
        return min(found, key=lambda job: job.id, default=None)

    async def count_unreadable(self) -> int:
        return self.unreadable

    def _where(self, wanted: Callable[[Job], bool]) -> list[Job]:
        return [job.model_copy(deep=True) for job in self._documents.values() if wanted(job)]

    def _replace(self, seen: Job, **changes: object) -> bool:
        job = self._documents.get(seen.id)
        if job is None or not job.is_active:
            return False
        if (job.generation, job.next_dispatch_ms) != (seen.generation, seen.next_dispatch_ms):
            return False
        news = {"updated_ms": now_ms(), "version": job.version + 1, **changes}
        self._documents[seen.id] = _apply(job, news)
        return True

    def _can_start_again(self, seen: Job) -> bool:
        """Whether an ended job is as it was when it was read, keeps its blobs, and has an empty outbox."""
        found = self._documents.get(seen.id)
        if found is None or not found.keeps_blobs or found.outbox_ms is not None:
            return False
        return (found.state, found.generation) == (seen.state, seen.generation)


def _apply(job: Job, changes: Mapping[str, Any], **more: Any) -> Job:
    """Return a job with stored changes: names of fields, or paths of events in the outbox."""
    events = {path.partition(".")[2]: value for path, value in changes.items() if path.startswith("outbox.")}
    fields = {path: value for path, value in changes.items() if not path.startswith("outbox.")}
    document = job.model_dump(by_alias=True) | fields | more
    document["outbox"] |= events
    return Job.model_construct(**dict(JobRecord.model_validate(document)))


class FakeQueues(Queues):
    """Queues that hold nothing but when each message was sent, of a broker that may be away or full."""

    def __init__(self) -> None:
        self.sent_ms: dict[str, list[int]] = {}
        self.changes = asyncio.Queue[str]()
        self.ends = asyncio.Queue[str]()
        self.is_down = self.is_full = False
        self.memory = RedisMemory(used_bytes=10, max_bytes=1000)

    async def changed_jobs(self) -> AsyncGenerator[str, None]:
        yield SUBSCRIBED
        while True:
            yield await self.changes.get()

    async def ended_jobs(self) -> AsyncGenerator[str, None]:
        yield SUBSCRIBED
        while True:
            yield await self.ends.get()

    def push(self, queue: str, sent_ms: int) -> None:
        """Put a message behind the others."""
        self.sent_ms.setdefault(queue, []).append(sent_ms)

    async def ping(self) -> None:
        self._answer_read()
        if self.is_full:
            raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")

    async def read_redis_memory(self) -> RedisMemory:
        self._answer_read()
        return self.memory

    async def read_max_queue_length(self) -> int:
        self._answer_read()
        return max(len(self.sent_ms.get(queue, [])) for queue in STAGE_QUEUES)

    async def read_oldest_message_ms(self, queue: str) -> int | None:
        self._answer_read()
        return min(self.sent_ms.get(queue, []), default=None)

    async def read_backlog(self) -> QueueBacklog:
        self._answer_read()
        return QueueBacklog(
            lengths={queue: len(self.sent_ms.get(queue, [])) for queue in QUEUES},
            oldest_ms={queue: min(self.sent_ms.get(queue, []), default=None) for queue in QUEUES},
            unacked=0,
        )

    def _answer_read(self) -> None:
        """Answer what changes nothing: a full broker does so, too."""
        if self.is_down:
            raise RedisConnectionError("the broker is away")


class FakeKeys(IdempotencyKeys):
    """Idempotency keys in a dictionary, each handed out as a copy."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._keys: dict[str, IdempotencyKey] = {}

    async def acquire(self, key: str, *, job_id: str, lease_ms: int) -> IdempotencyKey | None:
        found = self._keys.get(key)
        if found is not None:
            shown: IdempotencyKey = found.model_copy()
            job = await self._accepted(found.job_id)
            if found.state is KeyState.RUNNING and job:
                shown.state, shown.fingerprint = KeyState.ANSWERED, job.fingerprint
            was_deleted = found.state is KeyState.ANSWERED and job is None
            if shown.state is not found.state or (found.expires_ms >= now_ms() and not was_deleted):
                return shown
        self._keys[key] = IdempotencyKey.model_construct(
            id=key, state=KeyState.RUNNING, job_id=job_id, fingerprint=None, expires_ms=now_ms() + lease_ms
        )
        return None

    async def remember(self, key: str, *, job_id: str, keep_ms: int) -> None:
        self._keys[key] = IdempotencyKey.model_construct(
            id=key, state=KeyState.ANSWERED, job_id=job_id, fingerprint=None, expires_ms=now_ms() + keep_ms
        )

    async def find_remembered(self, keys: Collection[str]) -> dict[str, str]:
        found = (self._keys[key] for key in keys if key in self._keys)
        return {
            each.id: each.job_id for each in found if each.state is KeyState.ANSWERED and each.expires_ms >= now_ms()
        }

    async def mark_answered(self, key: str, *, job_id: str, fingerprint: str, keep_ms: int) -> bool:
        found = self._keys.get(key)
        if found is None or found.job_id != job_id:
            return False
        changes = {"state": KeyState.ANSWERED, "fingerprint": fingerprint, "expires_ms": now_ms() + keep_ms}
        self._keys[key] = found.model_copy(update=changes)
        return True

    async def release(self, key: str, *, job_id: str) -> None:
        found = self._keys.get(key)
        if found is not None and (found.job_id, found.state) == (job_id, KeyState.RUNNING):
            del self._keys[key]

    async def delete_expired(self) -> None:
        for key, found in list(self._keys.items()):
            is_running = found.state is KeyState.RUNNING
            accepted = is_running and await self._accepted(found.job_id)
            if found.expires_ms < now_ms() - is_running * ABANDONED_MS and not accepted:
                del self._keys[key]

    async def extend_lease(self, key: str, *, job_id: str, lease_ms: int) -> bool:
        found = self._keys.get(key)
        if found is None or (found.job_id, found.state) != (job_id, KeyState.RUNNING):
            return False
        self._keys[key] = found.model_copy(update={"expires_ms": now_ms() + lease_ms})
        return True

    async def _accepted(self, job_id: str) -> Job | None:
        with suppress(JobNotFound):
            return await self._jobs.get(job_id)
        return None


class FakeLease(Lease):
    """A lease in a dictionary."""

    def __init__(self) -> None:
        self._held: dict[str, Any] = {}

    async def acquire(self, holder: str, *, lease_ms: int) -> Mapping[str, Any] | None:
        now, held = now_ms(), self._held
        if held and held["holder"] != holder and now <= held["lease_ms"] <= now + MAX_LEASES * lease_ms:
            return None
        self._held = held | {"holder": holder, "lease_ms": now + lease_ms}
        return self._held

    async def record(self, holder: str, values: Mapping[str, Any]) -> None:
        if self._held.get("holder") == holder:
            self._held |= values


class FakeTidying(Tidying):
    """The lease and the progress of the tidier, in memory."""

    def __init__(self) -> None:
        super().__init__(FakeLease())


class FakeUploads(ResumableUploads):
    """Resumable uploads in a dictionary, each handed out as a copy."""

    def __init__(self) -> None:
        self._uploads: dict[str, ResumableUpload] = {}

    async def insert(self, upload: ResumableUpload) -> None:
        if upload.id in self._uploads:
            raise DuplicateKeyError(upload.id)
        self._uploads[upload.id] = upload.model_copy(deep=True)

    async def get(self, upload_id: str, *, owner: str | None = None, token_id: str | None = None) -> ResumableUpload:
        upload = self._uploads.get(upload_id)
        if upload is None or owner not in {None, upload.owner} or token_id not in {None, upload.token_id}:
            raise UploadNotFound(upload_id)
        return upload.model_copy(deep=True)

    async def append(self, upload: ResumableUpload, parts: Sequence[Part], *, expires_ms: int) -> bool:
        found = self._open(upload)
        if found is None or found.offset != upload.offset:
            return False
        self._uploads[upload.id] = found.with_parts(parts, expires_ms=expires_ms)
        return True

    async def replace_parts(self, upload: ResumableUpload, parts: Sequence[Part], merged: Part) -> bool:
        found = self._open(upload)
        if found is None or not set(parts) <= set(found.sorted_parts):
            return False
        self._uploads[upload.id] = found.with_merged(parts, merged)
        return True

    async def begin_insert(self, upload: ResumableUpload, *, lease_ms: int) -> bool:
        found = self._open(upload)
        if found is None or found.offset != upload.offset:
            return False
        found.inserting_until_ms = now_ms() + lease_ms
        return True

    async def complete(self, upload: ResumableUpload, *, expires_ms: int) -> None:
        found = self._uploads.get(upload.id)
        if found is not None and found.state is not UploadState.REMOVED:
            found.state, found.offset, found.parts = UploadState.COMPLETE, found.length, {}
            found.expires_ms = expires_ms

    async def remove_complete(self, upload: ResumableUpload) -> None:
        if found := self._uploads.get(upload.id):
            found.state, found.parts = UploadState.REMOVED, {}

    async def end(self, upload: ResumableUpload, state: UploadState, *, expired: bool = False) -> bool:
        found = self._open(upload)
        if found is None or found.inserting_until_ms >= now_ms() or (expired and found.expires_ms >= now_ms()):
            return False
        found.state, found.parts = state, {}
        return True

    async def count_unfinished(self, caller: str, *, limit: int) -> int:
        return min(limit, sum(u.caller == caller and u.state is UploadState.OPEN for u in self._uploads.values()))

    async def find_expired(self, *, limit: int) -> list[ResumableUpload]:
        uploads = [upload for upload in self._uploads.values() if upload.state is UploadState.OPEN]
        expired = [upload for upload in uploads if upload.expires_ms < now_ms()]
        return [each.model_copy(deep=True) for each in sorted(expired, key=lambda each: each.expires_ms)[:limit]]

    async def find_not_open(self, upload_ids: list[str]) -> list[str]:
        states = {upload_id: upload.state for upload_id, upload in self._uploads.items()}
        return sorted(upload_id for upload_id in set(upload_ids) if states.get(upload_id) is not UploadState.OPEN)

    async def delete_ended(self, *, before_ms: int, limit: int) -> int:
        ended = [upload for upload in self._uploads.values() if upload.state is not UploadState.OPEN]
        old = [upload.id for upload in ended if upload.expires_ms < before_ms][:limit]
        for upload_id in old:
            del self._uploads[upload_id]
        return len(old)

    def _open(self, upload: ResumableUpload) -> ResumableUpload | None:
        found = self._uploads.get(upload.id)
        return found if found is not None and found.state is UploadState.OPEN else None


class FakeTokenUses(TokenUses):
    """The uses of tokens in a dictionary: the end of each token, and its jobs."""

    def __init__(self) -> None:
        self._tokens: dict[str, tuple[int, set[str]]] = {}

    async def read(self, token: str) -> int:
        return len(self._tokens[token][1]) if token in self._tokens else 0

    async def count(self, token: str, *, job_id: str, limit: int, expires_ms: int) -> bool:
        _, jobs = self._tokens.setdefault(token, (expires_ms, set()))
        if job_id not in jobs and len(jobs) >= limit:
            return False
        jobs.add(job_id)
        return True

    async def release(self, token: str, *, job_id: str) -> None:
        if token in self._tokens:
            self._tokens[token][1].discard(job_id)

    async def delete_expired(self) -> None:
        for token, (expires_ms, _) in list(self._tokens.items()):
            if expires_ms < now_ms() - KEEP_MS:
                del self._tokens[token]


class FakeBulkActions(BulkActions):
    """Bulk actions in a dictionary."""

    def __init__(self) -> None:
        self.has_new = asyncio.Event()
        self._actions: dict[str, BulkAction] = {}

    async def insert(self, action: BulkAction) -> None:
        self._actions[action.id] = action
        self.has_new.set()

    async def get(self, bulk_id: str, *, owner: str | None) -> BulkAction:
        action = self._actions.get(bulk_id)
        if action is None or owner not in {None, action.owner}:
            raise BulkActionNotFound(bulk_id)
        return action

    async def page(self, *, owner: str | None, before_id: str | None, limit: int) -> BulkPage:
        found = [
            action
            for action in self._actions.values()
            if owner in {None, action.owner} and (before_id is None or action.id < before_id)
        ]
        actions = sorted(found, key=lambda action: action.id, reverse=True)[:limit]
        return BulkPage(actions, actions[-1].id if len(found) > limit else None)

    async def count_active(self, *, owner: str | None = None, limit: int) -> int:
        active = [each for each in self._actions.values() if each.is_active and owner in {None, each.owner}]
        return len(active[:limit])

    async def cancel(self, bulk_id: str) -> bool:
        changes = {"state": BulkState.CANCELLED, "updated_ms": now_ms(), "finished_ms": now_ms()}
        return self._actions[bulk_id].is_active and self._change(self._actions[bulk_id], changes) is not None

    async def find_free(self, *, limit: int) -> list[BulkAction]:
        free = [each for each in self._actions.values() if each.is_active and each.lease_ms < now_ms()]
        return sorted(free, key=lambda action: action.updated_ms)[:limit]

    async def end_long_leases(self, *, longest_ms: int) -> None:
        for each in list(self._actions.values()):
            if each.is_active and each.lease_ms > now_ms() + longest_ms:
                self._actions[each.id] = each.model_copy(update={"lease_ms": 0})

    async def acquire(self, action: BulkAction, holder: str, *, lease_ms: int) -> BulkAction | None:
        if not self._actions[action.id].is_active:
            return None
        changes = {"state": BulkState.RUNNING, "holder": holder, "lease_ms": now_ms() + lease_ms}
        return self._change(action, {**changes, "updated_ms": now_ms(), "version": action.version + 1})

    async def record(self, action: BulkAction, progress: Mapping[str, Any], *, lease_ms: int) -> BulkAction | None:
        held = {"lease_ms": now_ms() + lease_ms if lease_ms else 0, "updated_ms": now_ms()}
        return self._change(action, {**progress, **held, "version": action.version + 1})

    async def finish(self, action: BulkAction) -> bool:
        if self._actions[action.id].state is not BulkState.RUNNING:
            return False
        changes = {"state": BulkState.DONE, "updated_ms": now_ms(), "finished_ms": now_ms()}
        return self._change(action, changes) is not None

    async def delete_ended(self, *, before_ms: int, limit: int) -> int:
        ended = [each for each in self._actions.values() if 0 < (each.finished_ms or 0) < before_ms][:limit]
        for action in ended:
            del self._actions[action.id]
        return len(ended)

    def _change(self, seen: BulkAction, changes: dict[str, Any]) -> BulkAction | None:
        found = self._actions[seen.id]
        if found.version != seen.version:
            return None
        self._actions[seen.id] = found.model_copy(update=changes)
        return self._actions[seen.id]


@dataclass(frozen=True)
class FakeStores(Stores):
    """Stores without a database; `ping_error` is what the database answers with."""

    idempotency_keys: IdempotencyKeys = cast("IdempotencyKeys", None)  # noqa: RUF009  # of these jobs, below
    tidying: Tidying = field(default_factory=FakeTidying)
    announcing: Lease = field(default_factory=FakeLease)
    resumable_uploads: ResumableUploads = field(default_factory=FakeUploads)
    token_uses: TokenUses = field(default_factory=FakeTokenUses)
    bulk_actions: BulkActions = field(default_factory=FakeBulkActions)
    webhooks: Webhooks = field(default_factory=FakeWebhooks)
    deliveries: Deliveries = cast("Deliveries", None)  # noqa: RUF009  # of these endpoints, below
    mongo: Any = None
    ping_error: Exception | None = None

    def __post_init__(self) -> None:
        if self.idempotency_keys is None:
            object.__setattr__(self, "idempotency_keys", FakeKeys(self.jobs))
        if self.deliveries is None:
            object.__setattr__(self, "deliveries", FakeDeliveries(cast("FakeWebhooks", self.webhooks)))

    async def ping(self) -> None:
        if self.ping_error:
            raise self.ping_error

    async def measure_clock(self) -> None:
        await self.ping()


class FakeBroker:
    """The app's broker, kombu's own in memory: what is published can be read back, and no socket is opened."""

    settings = Settings(redis_url="memory://", result_url=UNREACHABLE_URL)

    def __init__(self) -> None:
        use_broker(self.settings)
        self.take_messages()

    def take_messages(self) -> list[Published]:
        """Take and return what was published since the last time."""
        messages = []
        with app.connection_for_read() as connection:
            for name in (lane for queue in QUEUES for lane in lane_queues(queue)):
                queue = connection.SimpleQueue(name)
                try:
                    while True:
                        messages.append(queue.get_nowait())
                        messages[-1].ack()
                except Empty:
                    queue.close()
        return messages


def use_broker(settings: Settings) -> None:
    """Point the process's one Celery app at a broker, as a publisher, and have it forget the one before."""
    configure(settings, publisher=True)
    inside = cast("Any", app)
    inside._after_fork()  # its connections
    inside._backend_cache, inside._local = None, threading.local()

"""Idempotency keys: which request a client's key belongs to, so that a repeated request has one effect."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any

from beanie import Document
from pydantic import Field, ValidationError
from pymongo.errors import DuplicateKeyError

from storage.clock import now_ms
from storage.documents import Job
from storage.errors import KeyUnreadable

ABANDONED_MS = 3_600_000
"""How long a running key is kept after its lease. A live request may renew it late, after an outage of the database."""


class KeyState(StrEnum):
    """Whether the request that holds a key is still being received or was answered."""

    RUNNING = "running"
    ANSWERED = "answered"


class IdempotencyKey(Document):
    """One key of one owner. A request holds it by a lease until it is answered."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # beanie's own is an ObjectId
    """The owner and the key, as `owner:key`; a token has its own: the owner, a line break, and `jti:key`."""
    state: KeyState = KeyState.RUNNING
    """Running until the request is answered."""
    job_id: str = Field(alias="task_id")  # its stored name
    """Id of the job that the request creates."""
    fingerprint: str | None = None
    """The job's fingerprint; None until the request is answered."""
    expires_ms: int
    """When the lease of a running key ends, or an answered key is forgotten (epoch ms)."""

    class Settings:
        """Collection."""

        name = "idempotency_keys"


class IdempotencyKeys:
    """Idempotency keys, changed by compare-and-set. Needs `open_stores`, which binds the documents."""

    async def acquire(self, key: str, *, job_id: str, lease_ms: int) -> IdempotencyKey | None:
        """Hold a key for a new request and return None, or return the key as another request holds it.

        A key is free when no request holds it, when it has expired, and when the job that it was answered with was
        deleted. A running key whose job exists counts as answered: its request was accepted, but cut off before
        `mark_answered`. Raises `KeyUnreadable` for a key of a newer version: whether its request has had an effect is
        unknown.
        """
        new_key = IdempotencyKey(id=key, job_id=job_id, expires_ms=now_ms() + lease_ms)
        try:
            await new_key.insert()
        except DuplicateKeyError:
            return await self._acquire_existing(new_key)
        return None

    async def mark_answered(self, key: str, *, job_id: str, fingerprint: str, keep_ms: int) -> bool:
        """Record that the request was answered with this job; the key is kept for `keep_ms` milliseconds.

        False when the lease had expired and the key is no longer that request's.
        """
        changes = {"state": KeyState.ANSWERED.value, "fingerprint": fingerprint, "expires_ms": now_ms() + keep_ms}
        return await self._update_own({"_id": key, "task_id": job_id}, changes)

    async def extend_lease(self, key: str, *, job_id: str, lease_ms: int) -> bool:
        """Renew the lease of a key, also an expired one; False when another request has taken the key."""
        condition = {"_id": key, "task_id": job_id, "state": KeyState.RUNNING.value}
        return await self._update_own(condition, {"expires_ms": now_ms() + lease_ms})

    async def release(self, key: str, *, job_id: str) -> None:
        """Free the key of a refused request: it had no effect, so the client may correct it and send it again."""
        condition = {"_id": key, "task_id": job_id, "state": KeyState.RUNNING.value}
        await IdempotencyKey.find(condition).delete()

    async def remember(self, key: str, *, job_id: str, keep_ms: int) -> None:
        """Keep a key that no request holds as answered with this job, for `keep_ms` milliseconds."""
        answered = IdempotencyKey(id=key, state=KeyState.ANSWERED, job_id=job_id, expires_ms=now_ms() + keep_ms)
        try:
            await answered.insert()
        except DuplicateKeyError:
            changes = {"task_id": job_id, "expires_ms": answered.expires_ms}
            await self._update_own({"_id": key, "state": KeyState.ANSWERED.value}, changes)

    async def find_remembered(self, keys: Collection[str]) -> dict[str, str]:
        """Return the job's id of each of these keys that is kept as answered."""
        query = {"_id": {"$in": list(keys)}, "state": KeyState.ANSWERED.value, "expires_ms": {"$gte": now_ms()}}
        found = IdempotencyKey.get_motor_collection().find(query, {"task_id": 1})
        return {document["_id"]: document["task_id"] async for document in found}

    async def delete_expired(self) -> None:
        """Delete the answered keys that have expired, and the running ones of ABANDONED_MS ago."""
        now = now_ms()
        await IdempotencyKey.find({"expires_ms": {"$lt": now}, "state": KeyState.ANSWERED.value}).delete()
        abandoned = {"expires_ms": {"$lt": now - ABANDONED_MS}, "state": KeyState.RUNNING.value}
        keys = IdempotencyKey.get_motor_collection().find(abandoned)
        async for key in keys:  # the documents as they are stored: an unreadable one must not keep the others
            job_id = key.get("task_id")
            if await _find_job(job_id) is None:  # else it counts as answered for as long as its job is kept
                await self.release(key["_id"], job_id=job_id)

    @staticmethod
    async def _update_own(condition: dict[str, str], changes: dict[str, Any]) -> bool:
        result = await IdempotencyKey.get_motor_collection().update_one(condition, {"$set": changes})
        return bool(result.matched_count)

    async def _acquire_existing(self, new_key: IdempotencyKey) -> IdempotencyKey | None:
        try:
            existing: IdempotencyKey | None = await IdempotencyKey.get(new_key.id)
        except ValidationError as error:
            raise KeyUnreadable from error
        if existing is None:  # another request has just freed it
            return await self.acquire(new_key.id, job_id=new_key.job_id, lease_ms=new_key.expires_ms - now_ms())
        job = await _find_job(existing.job_id)
        if existing.state is KeyState.RUNNING and job:
            # A third request may have looked before the job existed, and be about to take the key: the job would be
            # withdrawn, although this request is answered with it. A changed lease stops the third one.
            lease_ms = new_key.expires_ms - now_ms()
            if not await self.extend_lease(existing.id, job_id=existing.job_id, lease_ms=lease_ms):
                return await self._acquire_existing(new_key)
            answered: IdempotencyKey = existing.model_copy(
                update={"state": KeyState.ANSWERED, "fingerprint": job.get("fingerprint")}
            )
            return answered
        was_deleted = existing.state is KeyState.ANSWERED and job is None  # it was there before its key was answered
        if existing.expires_ms >= now_ms() and not was_deleted:
            return existing
        result = await IdempotencyKey.get_motor_collection().update_one(
            {"_id": existing.id, "task_id": existing.job_id, "expires_ms": existing.expires_ms},
            {"$set": new_key.model_dump(mode="json", by_alias=True, exclude={"id", "revision_id"})},
        )
        return None if result.modified_count else existing


async def _find_job(job_id: str) -> dict[str, Any] | None:
    """Return the fingerprint of a job, as it is stored: the job itself may be unreadable. None without a job."""
    job: dict[str, Any] | None = await Job.get_motor_collection().find_one({"_id": job_id}, {"fingerprint": 1})
    return job

"""Idempotency keys: what a client's key has been used for, so that a repeated request has one effect."""

from __future__ import annotations

from enum import StrEnum

from beanie import Document
from pydantic import Field
from pymongo.errors import DuplicateKeyError

from storage.clock import now_ms
from storage.documents import Job


class KeyState(StrEnum):
    """Whether the request that holds a key is still being received, or was answered."""

    RUNNING = "running"
    ANSWERED = "answered"


class IdempotencyKey(Document):
    """One key of one owner. Until it is answered, it is held for as long as its lease."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # beanie's own is an ObjectId
    state: KeyState = KeyState.RUNNING
    job_id: str = Field(alias="task_id")  # its stored name
    fingerprint: str | None = None
    expires_ms: int

    class Settings:
        """Collection."""

        name = "idempotency_keys"


class IdempotencyKeys:
    """Keys by compare-and-set. Needs `open_stores`."""

    async def acquire(self, key: str, *, job_id: str, lease_ms: int) -> IdempotencyKey | None:
        """Hold a key for a new request and return None, or return what the key is used for.

        A key is free when nobody has it or its time is over. A request that was accepted, but cut off before its key
        was told, counts as answered.
        """
        wanted = IdempotencyKey(id=key, job_id=job_id, expires_ms=now_ms() + lease_ms)
        try:
            await wanted.insert()
        except DuplicateKeyError:
            return await self._acquire_existing(wanted)
        return None

    async def mark_answered(self, key: str, *, job_id: str, fingerprint: str, keep_ms: int) -> None:
        """Note that the request was answered with this job."""
        changes = {"state": KeyState.ANSWERED.value, "fingerprint": fingerprint, "expires_ms": now_ms() + keep_ms}
        await IdempotencyKey.find_one({"_id": key, "task_id": job_id}).update({"$set": changes})

    async def extend_lease(self, key: str, *, job_id: str, lease_ms: int) -> bool:
        """Hold a key for longer; False when its time was over and another request has taken it."""
        held = {"_id": key, "task_id": job_id, "state": KeyState.RUNNING.value}
        changes = {"$set": {"expires_ms": now_ms() + lease_ms}}
        result = await IdempotencyKey.get_motor_collection().update_one(held, changes)
        return bool(result.matched_count)

    async def release(self, key: str, *, job_id: str) -> None:
        """Give a key back whose request was refused: it had no effect, and may be mended and sent again."""
        held = {"_id": key, "task_id": job_id, "state": KeyState.RUNNING.value}
        await IdempotencyKey.find(held).delete()

    async def delete_expired(self) -> None:
        """Delete the keys whose time is over."""
        over = {"expires_ms": {"$lt": now_ms()}}
        await IdempotencyKey.find({**over, "state": KeyState.ANSWERED.value}).delete()
        async for key in IdempotencyKey.find({**over, "state": KeyState.RUNNING.value}):
            if await Job.get(key.job_id) is None:  # else it counts as answered, for as long as its job is kept
                await self.release(key.id, job_id=key.job_id)

    async def _acquire_existing(self, wanted: IdempotencyKey) -> IdempotencyKey | None:
        found: IdempotencyKey | None = await IdempotencyKey.get(wanted.id)
        if found is None:  # freed meanwhile
            return await self.acquire(wanted.id, job_id=wanted.job_id, lease_ms=wanted.expires_ms - now_ms())
        if found.state is KeyState.RUNNING and (job := await Job.get(found.job_id)):
            answered: IdempotencyKey = found.model_copy(
                update={"state": KeyState.ANSWERED, "fingerprint": job.fingerprint}
            )
            return answered
        if found.expires_ms >= now_ms():
            return found
        taken = await IdempotencyKey.get_motor_collection().update_one(
            {"_id": found.id, "task_id": found.job_id, "expires_ms": found.expires_ms},
            {"$set": wanted.model_dump(mode="json", by_alias=True, exclude={"id", "revision_id"})},
        )
        return None if taken.modified_count else found

"""How many jobs each upload token has made, so that one with a limit makes no more, on all gateways together."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from storage.clock import now_ms

COLLECTION = "token_uses"
INDEXES = [IndexModel([("expires_ms", ASCENDING)], name="expires")]
KEEP_MS = 2 * 86_400_000
"""How long a count is kept after the end of the token that was counted last: another one of the same id may end later,
but no token is valid for much longer than a day."""


class TokenUses:
    """One document for each token: the number of its jobs, and when each was counted, by job id.

    A token is known by its owner and its id, as `owner:jti`.
    """

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]]) -> None:
        self._documents = collection

    async def read(self, token: str) -> int:
        """Return how many jobs the token has made."""
        document = await self._documents.find_one({"_id": token}, {"uses": 1})
        return int(document["uses"]) if document else 0

    async def count(self, token: str, *, job_id: str, limit: int, expires_ms: int) -> bool:
        """Count a job before it is inserted; False if the token has made `limit` jobs. The same job counts once."""
        job = f"jobs.{job_id}"
        condition = {"_id": token, "uses": {"$lt": limit}, job: None}
        update = {"$inc": {"uses": 1}, "$set": {job: now_ms(), "expires_ms": expires_ms}}
        if (await self._documents.update_one(condition, update)).modified_count:
            return True
        document = await self._documents.find_one({"_id": token})
        if document is None:
            with suppress(DuplicateKeyError):  # another request with this token was faster
                await self._documents.insert_one({"_id": token, "uses": 0, "jobs": {}, "expires_ms": expires_ms})
        elif job_id in document["jobs"] or document["uses"] >= limit:
            return job_id in document["jobs"]
        return await self.count(token, job_id=job_id, limit=limit, expires_ms=expires_ms)

    async def release(self, token: str, *, job_id: str) -> None:
        """Count a job no longer, which was withdrawn."""
        job = f"jobs.{job_id}"
        await self._documents.update_one({"_id": token, job: {"$gt": 0}}, {"$inc": {"uses": -1}, "$unset": {job: ""}})

    async def delete_expired(self) -> None:
        """Delete the counts of tokens that ended long ago."""
        await self._documents.delete_many({"expires_ms": {"$lt": now_ms() - KEEP_MS}})

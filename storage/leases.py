"""Leases: which of several gateways does some work. One document each, so that they do not all do the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from storage.clock import now_ms

COLLECTION = "tidying"
"""The collection of all leases. It has the name of the first one."""
MAX_LEASES = 2
"""Another holder's lease ends at most so many of our leases from now. A later end is that of a clock that was ahead."""


class Lease:
    """A lease that one holder has at a time, and what the holder records beside it.

    The lease saves work, nothing depends on it: a holder that outlives its lease does no harm beside the next one.

    The database's clock may have been ahead for a while. A lease of that time is taken over.
    """

    def __init__(self, documents: AsyncIOMotorCollection[dict[str, Any]], name: str) -> None:
        self._documents, self._name = documents, name

    async def acquire(self, holder: str, *, lease_ms: int) -> Mapping[str, Any] | None:
        """Take or renew the lease for `lease_ms` milliseconds; None while another holder has it.

        Return what holders have recorded, with the lease itself.
        """
        now = now_ms()
        held = {"holder": holder, "lease_ms": now + lease_ms}
        conditions: list[dict[str, Any]] = [
            {"holder": holder},
            {"lease_ms": {"$lt": now}},
            {"lease_ms": {"$gt": now + MAX_LEASES * lease_ms}},
        ]
        for condition in conditions:
            document = await self._documents.find_one_and_update(
                {"_id": self._name, **condition}, {"$set": held}, return_document=ReturnDocument.AFTER
            )
            if document is not None:
                return document
        try:
            await self._documents.insert_one({"_id": self._name, **held})
        except DuplicateKeyError:
            return None
        return held

    async def record(self, holder: str, values: Mapping[str, Any]) -> None:
        """Record values beside the lease, unless another holder has taken over."""
        await self._documents.update_one({"_id": self._name, "holder": holder}, {"$set": dict(values)})

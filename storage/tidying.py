"""Which gateway tidies, and how far it has come: one document, so that the replicas do not all do the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from storage.clock import now_ms

COLLECTION = "tidying"
_ID = "tidier"
MAX_LEASES = 2
"""Another tidier's lease ends at most so many of our leases from now. A later end is that of a clock that was ahead."""


@dataclass(frozen=True, slots=True)
class TidyProgress:
    """How far the looks for leftovers and orphans have come. A new tidier continues there."""

    leftovers_until_ms: int = 0
    """Jobs that ended until then (epoch ms) were looked at."""
    orphans_until_ms: int = 0
    """Folders created until then (epoch ms) were looked at."""
    full_look_ms: int = 0
    """When the last complete look at all folders began (epoch ms)."""


class Tidying:
    """The lease and the progress of the one tidier.

    The lease saves work, nothing depends on it: a tidier that outlives its lease does no harm beside the next one.

    The database's clock may have been ahead for a while. What was written then must not stop the tidier until the time
    comes: such a lease is taken over, and such progress does not count.
    """

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]]) -> None:
        self._documents = collection

    async def acquire(self, holder: str, *, lease_ms: int) -> TidyProgress | None:
        """Take or renew the lease for `lease_ms` milliseconds; None while another holder has it."""
        now = now_ms()
        held = {"holder": holder, "lease_ms": now + lease_ms}
        conditions: list[dict[str, Any]] = [
            {"holder": holder},
            {"lease_ms": {"$lt": now}},
            {"lease_ms": {"$gt": now + MAX_LEASES * lease_ms}},
        ]
        for condition in conditions:
            document = await self._documents.find_one_and_update(
                {"_id": _ID, **condition}, {"$set": held}, return_document=ReturnDocument.AFTER
            )
            if document is not None:
                return _read_progress(document, now)
        try:
            await self._documents.insert_one({"_id": _ID, **held})
        except DuplicateKeyError:
            return None
        return TidyProgress()

    async def record(self, holder: str, progress: TidyProgress) -> None:
        """Record the progress, unless another holder has taken over."""
        await self._documents.update_one({"_id": _ID, "holder": holder}, {"$set": asdict(progress)})


def _read_progress(document: Mapping[str, Any], now: int) -> TidyProgress:
    values = {field.name: document.get(field.name, 0) for field in fields(TidyProgress)}
    return TidyProgress(**{name: value if value <= now else 0 for name, value in values.items()})

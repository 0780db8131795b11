"""The deliveries of webhooks, as the gateway reads and changes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import BulkWriteError

from storage.clock import now_ms
from storage.errors import DeliveryNotFound
from storage.webhooks import Delivery, DeliveryState, read_all, read_delivery

Document = dict[str, Any]

DUPLICATE_KEY = 11000
MAX_COUNTED = 10_000
"""Pending deliveries that are counted: where there are more, it is enough to know that."""
EXTRA_READ = 20
"""Deliveries that a page reads beyond its end, so that it seldom reads twice."""


class DeliveryCursor(NamedTuple):
    """Where a page ends: the next one has the deliveries before this one."""

    created_ms: int
    delivery_id: str


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A page of deliveries, newest first, and where the next page begins; None on the last page."""

    deliveries: list[Delivery]
    next_before: DeliveryCursor | None


class Deliveries:
    """Deliveries, as the gateway sees them. Those that this version cannot read are left out of lists."""

    def __init__(
        self, deliveries: AsyncIOMotorCollection[Document], endpoints: AsyncIOMotorCollection[Document]
    ) -> None:
        self._deliveries, self._endpoints = deliveries, endpoints

    async def insert_new(self, deliveries: Sequence[Delivery]) -> None:
        """Insert deliveries in their order; existing ones are left as they are."""
        missing = {delivery.id: delivery.model_dump(mode="json", by_alias=True) for delivery in deliveries}
        while missing:
            found = self._deliveries.find({"_id": {"$in": list(missing)}}, {"_id": 1})
            for document in await found.to_list(None):
                del missing[document["_id"]]
            if not missing or await self._insert_all(list(missing.values())):
                return

    async def get(self, delivery_id: str, *, owner: str | None) -> Delivery:
        """Return a delivery. Raises `DeliveryNotFound`, also for that of another owner; None: any.

        Raises `DeliveryUnreadable` for one of a newer version.
        """
        document = await self._deliveries.find_one({"_id": delivery_id})
        if document is None or owner not in {None, document.get("owner")}:
            raise DeliveryNotFound(delivery_id)
        return read_delivery(document)

    async def page(
        self, endpoint_id: str, *, state: DeliveryState | None, before: DeliveryCursor | None, limit: int
    ) -> DeliveryPage:
        """Return `limit` deliveries of an endpoint, newest first: those before a cursor, or the first ones.

        Unreadable ones are left out.
        """
        query: Document = {"endpoint_id": endpoint_id} | ({} if state is None else {"state": state.value})
        if before is not None:
            query["created_ms"] = {"$lte": before.created_ms}
        documents = await self._read_newest(query, before, limit + 1)
        shown = documents[:limit]
        cursor = _find_cursor(shown[-1]) if len(documents) > limit else None
        return DeliveryPage(read_all(shown, read_delivery), cursor)

    async def redeliver(self, delivery: Delivery) -> bool:
        """Make a delivery pending, as if it was new, and due now; False when it has changed since it was read.

        The caller wakes the endpoint then.
        """
        now = now_ms()
        seen = {"_id": delivery.id, "state": delivery.state.value, "tries": delivery.tries}
        changes = {"state": DeliveryState.PENDING.value, "tries": 0, "next_try_ms": now, "finished_ms": None}
        if not (await self._deliveries.update_one(seen, {"$set": changes})).matched_count:
            return False
        behind = {"endpoint_id": delivery.endpoint_id, "task_id": delivery.task_id, "tries": 0}
        behind |= {"state": DeliveryState.PENDING.value, "next_try_ms": {"$gt": now}}
        await self._deliveries.update_many(behind, {"$set": {"next_try_ms": now}})
        return True

    async def make_due(self, endpoint_id: str) -> None:
        """Make all pending deliveries of an endpoint due now. The caller wakes the endpoint then."""
        now = now_ms()
        later = {"endpoint_id": endpoint_id, "state": DeliveryState.PENDING.value, "next_try_ms": {"$gt": now}}
        await self._deliveries.update_many(later, {"$set": {"next_try_ms": now}})

    async def read_backlog(self) -> tuple[int, int | None]:
        """Return how many deliveries of enabled endpoints are pending, and when the oldest was created (epoch ms).

        At most `MAX_COUNTED` are counted. Those of disabled endpoints may be many more, and each has a payload: so an
        index has all that is asked for.
        """
        enabled = [document["_id"] async for document in self._endpoints.find({"disabled": None}, {"_id": 1})]
        query = {"state": DeliveryState.PENDING.value, "endpoint_id": {"$in": enabled}}
        pending = self._deliveries.find(query, {"_id": 0, "created_ms": 1}).sort("created_ms", 1).limit(MAX_COUNTED)
        found = await pending.to_list(None)
        return len(found), found[0]["created_ms"] if found else None

    async def delete_ended(self, *, before_ms: int, limit: int) -> int:
        """Delete deliveries that ended before `before_ms` (epoch ms); return how many.

        Pending ones that have been due since before then are deleted too: nobody takes them.
        """
        deleted = 0
        for field in ("finished_ms", "next_try_ms"):
            query = {field: {"$gt": 0, "$lt": before_ms}}
            found = self._deliveries.find(query, {"_id": 1}).limit(limit - deleted)
            if ids := [document["_id"] for document in await found.to_list(None)]:
                deleted += (await self._deliveries.delete_many(query | {"_id": {"$in": ids}})).deleted_count
            if deleted >= limit:
                break
        return deleted

    async def _read_newest(self, query: Document, before: DeliveryCursor | None, count: int) -> list[Document]:
        """Return the `count` newest deliveries before a cursor.

        The database sorts by time alone: no index has the id as well, so it would read and sort all of an endpoint's.
        So more are read than are wanted, until all of the last millisecond are among them.
        """
        limit = count + EXTRA_READ
        while True:
            found = await self._deliveries.find(query).sort("created_ms", -1).limit(limit).to_list(None)
            is_all = len(found) < limit
            whole = found if is_all else [each for each in found if each["created_ms"] > found[-1]["created_ms"]]
            wanted = [each for each in whole if before is None or _find_cursor(each) < before]
            if is_all or len(wanted) >= count:
                return sorted(wanted, key=_find_cursor, reverse=True)[:count]
            limit *= 2

    async def _insert_all(self, documents: list[Document]) -> bool:
        """Insert documents in their order; False when one of them exists already."""
        try:
            await self._deliveries.insert_many(documents)
        except BulkWriteError as error:
            if any(
                each["code"] != DUPLICATE_KEY for each in (error.details or {}).get("writeErrors", [{"code": None}])
            ):
                raise
            return False
        return True


def _find_cursor(document: Document) -> DeliveryCursor:
    return DeliveryCursor(document["created_ms"], document["_id"])

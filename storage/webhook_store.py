"""The endpoints of webhooks, as the gateway reads and changes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import DuplicateKeyError

from storage.clock import now_ms
from storage.errors import WebhookNotFound
from storage.webhooks import FIXED_PREFIX, DisabledReason, Secret, WebhookEndpoint, read_all, read_endpoint

Document = dict[str, Any]
Endpoints = list[WebhookEndpoint]

MAX_DISPATCH_WAIT_MS = 600_000
"""Longest wait between two messages about an endpoint, while no worker takes them."""
SETTINGS_FIELDS = {"owner", "url", "events", "is_thin", "description", "secrets"}
"""What the settings say of a fixed endpoint; the other fields are what has become of it."""
AFTER_FIXED = FIXED_PREFIX[:-1] + chr(ord(FIXED_PREFIX[-1]) + 1)


class Webhooks:
    """Endpoints of webhooks. Those that this version cannot read are left out of lists, and left as they are."""

    def __init__(
        self, endpoints: AsyncIOMotorCollection[Document], deliveries: AsyncIOMotorCollection[Document]
    ) -> None:
        self._endpoints, self._deliveries = endpoints, deliveries

    async def insert(self, endpoint: WebhookEndpoint) -> None:
        """Insert a new endpoint."""
        await self._endpoints.insert_one(endpoint.model_dump(mode="json", by_alias=True))

    async def get(self, endpoint_id: str, *, owner: str | None) -> WebhookEndpoint:
        """Return an endpoint. Raises `WebhookNotFound`, also for that of another owner; None: any.

        Raises `WebhookUnreadable` for one of a newer version.
        """
        document = await self._endpoints.find_one({"_id": endpoint_id})
        if document is None or owner not in {None, document.get("owner")}:
            raise WebhookNotFound(endpoint_id)
        return read_endpoint(document)

    async def list(self, owner: str | None) -> Endpoints:
        """Return all endpoints of an owner, newest first; None: those without an owner."""
        found = read_all(await self._endpoints.find({"owner": owner}).to_list(None), read_endpoint)
        return sorted(found, key=lambda endpoint: (endpoint.created_ms, endpoint.id), reverse=True)

    async def list_enabled(self, owner: str | None) -> Endpoints:
        """Return the endpoints of an owner that events are sent to, newest first."""
        return [endpoint for endpoint in await self.list(owner) if endpoint.disabled is None]

    async def has_enabled(self) -> bool:
        """Whether there is an endpoint, of any owner, that events are sent to."""
        return await self._endpoints.find_one({"disabled": None}, {"_id": 1}) is not None

    async def count(self, owner: str | None) -> int:
        """Return how many endpoints an owner has, without those of the settings."""
        found = await self._endpoints.find({"owner": owner}, {"_id": 1}).to_list(None)
        return sum(not document["_id"].startswith(FIXED_PREFIX) for document in found)

    async def change(self, endpoint_id: str, changes: Mapping[str, Any], *, owner: str | None) -> WebhookEndpoint:
        """Change fields that are the owner's, and return the endpoint. Raises as `get` does.

        Who disables or enables an endpoint, or changes its address, also changes what is known of its failures.
        """
        seen = await self.get(endpoint_id, owner=owner)
        completed = complete_changes(changes)
        changed = seen.model_copy(update=completed)
        update = {"$set": changed.model_dump(mode="json", include={*completed})}
        await self._endpoints.update_one({"_id": seen.id}, update)
        return await self.get(endpoint_id, owner=owner)

    async def replace_secrets(self, endpoint: WebhookEndpoint, secrets: Sequence[Secret]) -> WebhookEndpoint | None:
        """Replace the secrets of an endpoint and return it; None when its owner has changed it since it was read."""
        changes = {"secrets": list(secrets), "updated_ms": max(now_ms(), endpoint.updated_ms + 1)}
        changed = endpoint.model_copy(update=changes)
        update = {"$set": changed.model_dump(mode="json", include={*changes})}
        seen = {"_id": endpoint.id, "updated_ms": endpoint.updated_ms}
        return changed if (await self._endpoints.update_one(seen, update)).matched_count else None

    async def remove(self, endpoint_id: str, *, owner: str | None) -> None:
        """Delete an endpoint, then its deliveries. Raises `WebhookNotFound` as `get` does."""
        document = await self._endpoints.find_one({"_id": endpoint_id}, {"owner": 1})
        if document is None or owner not in {None, document.get("owner")}:
            raise WebhookNotFound(endpoint_id)
        await self._remove([endpoint_id])

    async def put_fixed(self, endpoints: Iterable[WebhookEndpoint]) -> None:
        """Insert or update the endpoints of the settings, and remove those that are no longer in them.

        One whose address has changed is enabled again.
        """
        wanted = {endpoint.id: endpoint for endpoint in endpoints}
        for endpoint in wanted.values():
            await self._put(endpoint)
        fixed = {"_id": {"$gte": FIXED_PREFIX, "$lt": AFTER_FIXED}}
        found = [document["_id"] async for document in self._endpoints.find(fixed, {"_id": 1})]
        await self._remove([endpoint_id for endpoint_id in found if endpoint_id not in wanted])

    async def wake(self, endpoint_ids: Iterable[str], *, now: int) -> None:
        """Make endpoints due, whose deliveries were added or made due before, and count that.

        It is counted first: a run that has looked before then does not record that nothing is due.
        """
        ids = {"_id": {"$in": sorted(set(endpoint_ids))}}
        await self._endpoints.update_many(ids, {"$inc": {"wakes": 1}})
        for later in (None, {"$gt": now}):
            await self._endpoints.update_many(ids | {"due_ms": later}, {"$set": {"due_ms": now}})

    async def find_due(self, *, limit: int) -> Endpoints:
        """Return enabled endpoints that are due, that no run holds and no message is under way for.

        The one that has waited longest comes first.
        """
        now = now_ms()
        query = {"disabled": None, "due_ms": {"$gt": 0, "$lte": now}}
        query |= {"next_dispatch_ms": {"$lte": now}, "lease_ms": {"$lte": now}}
        return read_all(await self._endpoints.find(query).sort("due_ms", 1).limit(limit).to_list(None), read_endpoint)

    async def end_long_waits(self) -> None:
        """End what would last longer than it ever does: it is of before the database's clock was set back.

        That is how long a message is awaited, and the leases of runs, which are shorter.
        """
        too_late = {"$gt": now_ms() + 2 * MAX_DISPATCH_WAIT_MS}
        for name in ("next_dispatch_ms", "lease_ms"):
            for found in await self._endpoints.find({name: too_late}, {"_id": 1}).to_list(None):
                await self._endpoints.update_one(found | {name: too_late}, {"$set": {name: 0}})

    async def reserve_dispatch(self, endpoint: WebhookEndpoint, *, delay_ms: int) -> bool:
        """Reserve the next message about an endpoint for the caller; False when another has reserved it.

        The one after it follows `delay_ms` later, or as much later as no worker has taken any so far: while there is no
        worker, their number grows with the logarithm of the time. How old its deliveries are does not count: else a
        lost message would cost an endpoint with a backlog as much time again.
        """
        condition = {"_id": endpoint.id, "next_dispatch_ms": endpoint.next_dispatch_ms}
        update = {"$set": reserve_changes(endpoint, delay_ms=delay_ms)}
        return bool((await self._endpoints.update_one(condition, update)).modified_count)

    async def count_disabled(self) -> dict[DisabledReason, int]:
        """Return how many endpoints are disabled, by reason."""
        groups = self._endpoints.aggregate([{"$group": {"_id": "$disabled", "endpoints": {"$sum": 1}}}])
        counts = {group["_id"]: group["endpoints"] async for group in groups}
        return {reason: counts.get(reason.value, 0) for reason in DisabledReason}

    async def _put(self, endpoint: WebhookEndpoint) -> None:
        moved = {"_id": endpoint.id, "url": {"$ne": endpoint.url}}
        enabled = {"disabled": None, "disabled_ms": None, "failing_since_ms": None}
        await self._endpoints.update_one(moved, {"$set": {"url": endpoint.url, **enabled}})
        fields = endpoint.model_dump(mode="json", include=SETTINGS_FIELDS)
        if not (await self._endpoints.update_one({"_id": endpoint.id}, {"$set": fields})).matched_count:
            with suppress(DuplicateKeyError):  # another gateway, with the same settings, was faster
                await self.insert(endpoint)

    async def _remove(self, endpoint_ids: Sequence[str]) -> None:
        if endpoint_ids:
            await self._endpoints.delete_many({"_id": {"$in": list(endpoint_ids)}})
            await self._deliveries.delete_many({"endpoint_id": {"$in": list(endpoint_ids)}})


def reserve_changes(endpoint: WebhookEndpoint, *, delay_ms: int) -> dict[str, int]:
    """Return the changes of an endpoint that gets a message now: also when that counts as lost."""
    now = now_ms()
    first_ms = (endpoint.dispatched_ms if endpoint.next_dispatch_ms else 0) or now
    later_ms = now + max(delay_ms, min(now - first_ms, MAX_DISPATCH_WAIT_MS))
    return {"next_dispatch_ms": max(later_ms, endpoint.next_dispatch_ms + 1), "dispatched_ms": first_ms}


def complete_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes of an endpoint with those that follow from them."""
    completed = {**changes, "updated_ms": now_ms()}
    if "disabled" in changes:
        completed["disabled_ms"] = None if changes["disabled"] is None else now_ms()
    if "url" in changes or changes.get("disabled", DisabledReason.OWNER) is None:
        completed["failing_since_ms"] = None
    return completed

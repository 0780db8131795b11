"""The worker's access to endpoints of webhooks and their deliveries: one run at a time holds an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from pymongo import ReturnDocument
from pymongo.collection import Collection as MongoCollection

from storage.clock import now_ms
from storage.errors import DeliveryUnreadable, UnreadableDocument, WebhookUnreadable
from storage.webhooks import (
    MAX_TRIES_KEPT,
    Delivery,
    DeliveryState,
    DisabledReason,
    Try,
    WebhookEndpoint,
    read_delivery,
    read_endpoint,
)

Document = dict[str, Any]

UNREADABLE_WAIT_MS = 60_000
"""A delivery that this version cannot read is looked at again after this long: a worker of a newer version may come."""
MAX_RELEASES = 3
"""Attempts to release an endpoint with the time of its next delivery, while the gateway adds deliveries."""
_PENDING = {"state": DeliveryState.PENDING.value}

Report = Callable[[UnreadableDocument], None]


def report_nothing(error: UnreadableDocument) -> None:
    """Report nothing."""


class DeliveryLedger:
    """Holds endpoints and records tries. A run that was killed leaves its lease, which ends by itself.

    `report` is called for each document that this version cannot read; such a delivery is postponed.
    """

    def __init__(
        self,
        endpoints: MongoCollection[Document],
        deliveries: MongoCollection[Document],
        *,
        report: Report = report_nothing,
    ) -> None:
        self._endpoints, self._deliveries, self._report = endpoints, deliveries, report

    def acquire(self, endpoint_id: str, holder: str, *, lease_ms: int) -> WebhookEndpoint | None:
        """Take the lease of an endpoint for `lease_ms` milliseconds; None if another run has it.

        Also None if the endpoint is disabled, gone, or one of a newer version. From now on the lease says when another
        message about it is needed: if this run dies, that is once the lease has ended.
        """
        now = now_ms()
        free = {"_id": endpoint_id, "disabled": None, "lease_ms": {"$lte": now}}
        return self._hold(free, {"holder": holder, "lease_ms": now + lease_ms, "next_dispatch_ms": 0})

    def renew(self, endpoint: WebhookEndpoint, *, lease_ms: int) -> WebhookEndpoint | None:
        """Extend the lease and return the endpoint as it is now; None when another run has taken over.

        Also None when the endpoint is disabled or gone.
        """
        return self._hold(_held(endpoint) | {"disabled": None}, {"lease_ms": now_ms() + lease_ms})

    def read_due(self, endpoint: WebhookEndpoint, *, busy_jobs: Collection[str], limit: int) -> list[Delivery]:
        """Return due deliveries of an endpoint, at most `limit`, those that were due first first.

        Of each job it is the earliest pending one, and only if that is due: the others are postponed until it is. Jobs
        in `busy_jobs` are left out.
        """
        while True:
            now = now_ms()
            query = {"endpoint_id": endpoint.id, **_PENDING, "next_try_ms": {"$gt": 0, "$lte": now}}
            if busy_jobs:
                query["task_id"] = {"$nin": sorted(busy_jobs)}
            documents = list(self._deliveries.find(query).sort("next_try_ms", 1).limit(limit))
            if not documents:
                return []
            known = {delivery.id: delivery for delivery in self._read(documents)}
            heads = self._find_heads(endpoint.id, {delivery.task_id for delivery in known.values()})
            for head in heads:
                if head["next_try_ms"] > now:
                    self._postpone_behind(head, now=now)
            if due := self._load([head["_id"] for head in heads if head["next_try_ms"] <= now], known):
                return due

    def record_try(self, delivery: Delivery, result: Try, *, state: DeliveryState, next_try_ms: int | None) -> bool:
        """Record a try, and how it goes on with the delivery; False when the delivery has changed since it was read."""
        log_ = [*delivery.log, result][-MAX_TRIES_KEPT:]
        changes = {
            "state": state.value,
            "tries": delivery.tries + 1,
            "next_try_ms": next_try_ms,
            "log": [each.model_dump(mode="json") for each in log_],
            "finished_ms": None if state is DeliveryState.PENDING else now_ms(),
        }
        seen = {"_id": delivery.id, **_PENDING, "tries": delivery.tries}
        return bool(self._deliveries.update_one(seen, {"$set": changes}).matched_count)

    def record_success(self, endpoint: WebhookEndpoint) -> None:
        """Record that the endpoint has taken an event."""
        failing = {"_id": endpoint.id, "failing_since_ms": {"$gt": 0}}
        self._endpoints.update_one(failing, {"$set": {"failing_since_ms": None}})

    def record_failure(self, endpoint: WebhookEndpoint, *, at_ms: int) -> None:
        """Record that a try has failed, unless one has failed before since the endpoint has taken an event."""
        working = {"_id": endpoint.id, "url": endpoint.url, "failing_since_ms": None}
        self._endpoints.update_one(working, {"$set": {"failing_since_ms": at_ms}})

    def disable(self, endpoint: WebhookEndpoint, reason: DisabledReason) -> bool:
        """Send nothing more to an endpoint; False if its owner has just disabled it or changed its address."""
        now = now_ms()
        changes = {"disabled": reason.value, "disabled_ms": now, "updated_ms": now}
        seen = {"_id": endpoint.id, "url": endpoint.url, "disabled": None}
        return bool(self._endpoints.update_one(seen, {"$set": changes}).modified_count)

    def release(self, endpoint: WebhookEndpoint, *, not_before_ms: int = 0) -> None:
        """Give up the lease, and record when the next delivery is due, unless deliveries were added meanwhile.

        Then the endpoint remains due. It is due no sooner than `not_before_ms` (epoch ms).
        """
        released = {"lease_ms": 0, "next_dispatch_ms": 0}
        wakes: int | None = endpoint.wakes
        for _ in range(MAX_RELEASES):
            due_ms = self._find_next_due(endpoint.id)
            due = {"due_ms": None if due_ms is None else max(due_ms, not_before_ms)}
            condition = _held(endpoint) | {"wakes": wakes}
            if self._endpoints.update_one(condition, {"$set": released | due}).matched_count:
                return
            found = self._endpoints.find_one(_held(endpoint), {"wakes": 1})
            if found is None:
                return
            wakes = found.get("wakes")
        self._endpoints.update_one(_held(endpoint), {"$set": released})

    def _hold(self, condition: Document, changes: Document) -> WebhookEndpoint | None:
        found = self._endpoints.find_one_and_update(condition, {"$set": changes}, return_document=ReturnDocument.AFTER)
        if found is None:
            return None
        try:
            return read_endpoint(found)
        except WebhookUnreadable as error:
            self._report(error)
            held = {name: found[name] for name in ("_id", "holder", "lease_ms")}
            self._endpoints.update_one(held, {"$set": {"lease_ms": 0}})
            return None

    def _find_heads(self, endpoint_id: str, jobs: Collection[str]) -> list[Document]:
        """Return what is needed of the earliest pending delivery of each of these jobs, the first due first."""
        query = {"endpoint_id": endpoint_id, **_PENDING, "task_id": {"$in": sorted(jobs)}, "next_try_ms": {"$gt": 0}}
        fields = {"endpoint_id": 1, "task_id": 1, "order": 1, "next_try_ms": 1}
        found = sorted(self._deliveries.find(query, fields), key=lambda each: (str(each.get("order")), each["_id"]))
        heads: dict[str, Document] = {}
        for document in found:
            heads.setdefault(document["task_id"], document)
        return sorted(heads.values(), key=lambda each: each["next_try_ms"])

    def _postpone_behind(self, head: Document, *, now: int) -> None:
        """Make what waits behind a delivery due with it: else the endpoint is due and nothing can be sent."""
        behind = {"endpoint_id": head["endpoint_id"], "task_id": head["task_id"], **_PENDING}
        behind["next_try_ms"] = {"$gt": 0, "$lte": now}
        self._deliveries.update_many(behind, {"$set": {"next_try_ms": head["next_try_ms"]}})

    def _load(self, ids: list[str], known: dict[str, Delivery]) -> list[Delivery]:
        if missing := [each for each in ids if each not in known]:
            documents = list(self._deliveries.find({"_id": {"$in": missing}, **_PENDING}))
            known = known | {delivery.id: delivery for delivery in self._read(documents)}
        return [known[each] for each in ids if each in known]

    def _read(self, documents: Iterable[Document]) -> list[Delivery]:
        """Return the deliveries that can be read; postpone the others."""
        deliveries: list[Delivery] = []
        for document in documents:
            try:
                deliveries.append(read_delivery(document))
            except DeliveryUnreadable as error:
                self._report(error)
                seen = {"_id": document["_id"], "next_try_ms": document["next_try_ms"]}
                later = {"$set": {"next_try_ms": now_ms() + UNREADABLE_WAIT_MS}}
                self._deliveries.update_one(seen, later)
        return deliveries

    def _find_next_due(self, endpoint_id: str) -> int | None:
        query = {"endpoint_id": endpoint_id, **_PENDING, "next_try_ms": {"$gt": 0}}
        found = list(self._deliveries.find(query, {"next_try_ms": 1}).sort("next_try_ms", 1).limit(1))
        return found[0]["next_try_ms"] if found else None


def _held(endpoint: WebhookEndpoint) -> Document:
    return {"_id": endpoint.id, "holder": endpoint.holder, "lease_ms": {"$gt": 0}}

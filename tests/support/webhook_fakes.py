"""Endpoints of webhooks and their deliveries, in memory; tests/contract holds them to what the real stores do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from storage.clock import now_ms
from storage.delivery_store import Deliveries, DeliveryCursor, DeliveryPage
from storage.errors import DeliveryNotFound, WebhookNotFound
from storage.webhook_store import (
    MAX_DISPATCH_WAIT_MS,
    SETTINGS_FIELDS,
    Endpoints,
    Webhooks,
    complete_changes,
    reserve_changes,
)
from storage.webhooks import Delivery, DeliveryState, DisabledReason, Secret, WebhookEndpoint


class FakeWebhooks(Webhooks):
    """Endpoints in a dictionary, and beside them the deliveries, which go with them."""

    def __init__(self) -> None:
        self.endpoints: dict[str, WebhookEndpoint] = {}
        self.kept_deliveries: dict[str, Delivery] = {}

    async def insert(self, endpoint: WebhookEndpoint) -> None:
        self.endpoints[endpoint.id] = endpoint.model_copy(deep=True)

    async def get(self, endpoint_id: str, *, owner: str | None) -> WebhookEndpoint:
        found = self.endpoints.get(endpoint_id)
        if found is None or owner not in {None, found.owner}:
            raise WebhookNotFound(endpoint_id)
        return found.model_copy(deep=True)

    async def list(self, owner: str | None) -> Endpoints:
        found = [endpoint.model_copy(deep=True) for endpoint in self.endpoints.values() if endpoint.owner == owner]
        return sorted(found, key=lambda endpoint: (endpoint.created_ms, endpoint.id), reverse=True)

    async def has_enabled(self) -> bool:
        return any(endpoint.disabled is None for endpoint in self.endpoints.values())

    async def count(self, owner: str | None) -> int:
        return sum(not endpoint.is_fixed for endpoint in await self.list(owner))

    async def change(self, endpoint_id: str, changes: Mapping[str, Any], *, owner: str | None) -> WebhookEndpoint:
        await self.get(endpoint_id, owner=owner)
        self._update(endpoint_id, **complete_changes(changes))
        return await self.get(endpoint_id, owner=owner)

    async def replace_secrets(self, endpoint: WebhookEndpoint, secrets: Sequence[Secret]) -> WebhookEndpoint | None:
        found = self.endpoints.get(endpoint.id)
        if found is None or found.updated_ms != endpoint.updated_ms:
            return None
        self._update(endpoint.id, secrets=list(secrets), updated_ms=max(now_ms(), endpoint.updated_ms + 1))
        return self.endpoints[endpoint.id].model_copy(deep=True)

    async def remove(self, endpoint_id: str, *, owner: str | None) -> None:
        await self.get(endpoint_id, owner=owner)
        self._drop(endpoint_id)

    async def put_fixed(self, endpoints: Iterable[WebhookEndpoint]) -> None:
        wanted = {endpoint.id: endpoint for endpoint in endpoints}
        for endpoint in wanted.values():
            found = self.endpoints.setdefault(endpoint.id, endpoint)
            if found.url != endpoint.url:
                self._update(endpoint.id, disabled=None, disabled_ms=None, failing_since_ms=None)
            self._update(endpoint.id, **{name: getattr(endpoint, name) for name in SETTINGS_FIELDS})
        for found in list(self.endpoints.values()):
            if found.is_fixed and found.id not in wanted:
                self._drop(found.id)

    async def wake(self, endpoint_ids: Iterable[str], *, now: int) -> None:
        for endpoint_id in set(endpoint_ids) & set(self.endpoints):
            found = self.endpoints[endpoint_id]
            due_ms = now if found.due_ms is None else min(found.due_ms, now)
            self._update(endpoint_id, wakes=found.wakes + 1, due_ms=due_ms)

    async def end_long_waits(self) -> None:
        latest_ms = now_ms() + 2 * MAX_DISPATCH_WAIT_MS
        for endpoint in self.endpoints.values():
            for name in ("next_dispatch_ms", "lease_ms"):
                if getattr(endpoint, name) > latest_ms:
                    setattr(endpoint, name, 0)

    async def find_due(self, *, limit: int) -> Endpoints:
        now = now_ms()
        due = [
            (endpoint.due_ms, endpoint.id)
            for endpoint in self.endpoints.values()
            if endpoint.disabled is None and endpoint.due_ms and endpoint.due_ms <= now
            if max(endpoint.next_dispatch_ms, endpoint.lease_ms) <= now
        ]
        return [self.endpoints[endpoint_id].model_copy(deep=True) for _, endpoint_id in sorted(due)[:limit]]

    async def reserve_dispatch(self, endpoint: WebhookEndpoint, *, delay_ms: int) -> bool:
        found = self.endpoints.get(endpoint.id)
        if found is None or found.next_dispatch_ms != endpoint.next_dispatch_ms:
            return False
        self._update(endpoint.id, **reserve_changes(endpoint, delay_ms=delay_ms))
        return True

    async def count_disabled(self) -> dict[DisabledReason, int]:
        reasons = [endpoint.disabled for endpoint in self.endpoints.values()]
        return {reason: reasons.count(reason) for reason in DisabledReason}

    def _update(self, endpoint_id: str, **changes: Any) -> None:
        self.endpoints[endpoint_id] = self.endpoints[endpoint_id].model_copy(update=changes)

    def _drop(self, endpoint_id: str) -> None:
        del self.endpoints[endpoint_id]
        for delivery in list(self.kept_deliveries.values()):
            if delivery.endpoint_id == endpoint_id:
                del self.kept_deliveries[delivery.id]


class FakeDeliveries(Deliveries):
    """The deliveries of these endpoints."""

    def __init__(self, webhooks: FakeWebhooks) -> None:
        self._webhooks, self._kept = webhooks, webhooks.kept_deliveries

    async def insert_new(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._kept.setdefault(delivery.id, delivery.model_copy(deep=True))

    async def get(self, delivery_id: str, *, owner: str | None) -> Delivery:
        found = self._kept.get(delivery_id)
        if found is None or owner not in {None, found.owner}:
            raise DeliveryNotFound(delivery_id)
        return found.model_copy(deep=True)

    async def page(
        self, endpoint_id: str, *, state: DeliveryState | None, before: DeliveryCursor | None, limit: int
    ) -> DeliveryPage:
        found = [
            (DeliveryCursor(delivery.created_ms, delivery.id), delivery.model_copy(deep=True))
            for delivery in self._kept.values()
            if delivery.endpoint_id == endpoint_id and state in {None, delivery.state}
        ]
        wanted = sorted(
            (each for each in found if before is None or each[0] < before), key=lambda each: each[0], reverse=True
        )
        deliveries = [delivery for _, delivery in wanted[:limit]]
        return DeliveryPage(deliveries, wanted[limit - 1][0] if len(wanted) > limit else None)

    async def redeliver(self, delivery: Delivery) -> bool:
        found = self._kept.get(delivery.id)
        if found is None or (found.state, found.tries) != (delivery.state, delivery.tries):
            return False
        changes = {"state": DeliveryState.PENDING, "tries": 0, "next_try_ms": now_ms(), "finished_ms": None}
        self._kept[delivery.id] = found.model_copy(update=changes)
        for other in list(self._kept.values()):
            is_behind = (other.endpoint_id, other.task_id, other.tries) == (found.endpoint_id, found.task_id, 0)
            if is_behind and other.next_try_ms:
                earlier = {"next_try_ms": min(other.next_try_ms, now_ms())}
                self._kept[other.id] = other.model_copy(update=earlier)
        return True

    async def make_due(self, endpoint_id: str) -> None:
        for found in list(self._kept.values()):
            if found.endpoint_id == endpoint_id and found.next_try_ms:
                due = {"next_try_ms": min(found.next_try_ms, now_ms())}
                self._kept[found.id] = found.model_copy(update=due)

    async def read_backlog(self) -> tuple[int, int | None]:
        enabled = {endpoint.id for endpoint in self._webhooks.endpoints.values() if endpoint.disabled is None}
        pending = [
            delivery.created_ms
            for delivery in self._kept.values()
            if delivery.state is DeliveryState.PENDING and delivery.endpoint_id in enabled
        ]
        return len(pending), min(pending, default=None)

    async def delete_ended(self, *, before_ms: int, limit: int) -> int:
        old = [
            delivery.id
            for delivery in self._kept.values()
            if 0 < (delivery.finished_ms or delivery.next_try_ms or 0) < before_ms
        ][:limit]
        for delivery_id in old:
            del self._kept[delivery_id]
        return len(old)

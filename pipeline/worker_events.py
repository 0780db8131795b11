"""What a worker tells of itself to Flower: it never holds up the worker's event loop while the broker is away."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher

ONE_NEW_CONNECTION = MappingProxyType({"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0})


class BoundedDispatcher(EventDispatcher):
    """Sends an event over one new connection at most, then keeps it for later.

    Celery repeats heartbeats until the broker takes them, in the event loop: meanwhile the worker would neither stop,
    nor hear of its children, nor end a run that takes too long.
    """

    def send(self, type: str, *args: Any, **options: Any) -> Any:  # noqa: A002  # Celery's own
        """Send an event, or keep it until the broker is connected again."""
        return super().send(type, *args, **options | {"retry_policy": ONE_NEW_CONNECTION})


class BoundedEvents(Events):
    """Celery's access to events, with such a dispatcher."""

    dispatcher_cls = "pipeline.worker_events:BoundedDispatcher"

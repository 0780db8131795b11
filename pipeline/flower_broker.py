"""The queues on Flower's broker page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from flower.utils import broker  # type: ignore[import-untyped]
from flower.views import BaseHandler  # type: ignore[import-untyped]

from pipeline.celery import app


class AmqpBroker(broker.BrokerBase):  # type: ignore[misc]  # Flower has no types
    """Reads RabbitMQ's queues over AMQP, as workers do.

    Flower's own class asks the management API, which a server may not have. Unless its address is configured, Flower
    guesses the port and sends the broker's password to it without TLS.
    """

    async def queues(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Return the length and the consumers of each queue."""
        return await asyncio.to_thread(_declare_queues, [name for name in names if name in app.amqp.queues])


def _declare_queues(names: list[str]) -> list[dict[str, Any]]:
    queues = []
    with app.connection_for_read() as connection:
        for name in names:
            queue: Any = app.amqp.queues[name](connection.default_channel)
            declared = queue.queue_declare()
            queues.append(
                {"name": name, "messages_ready": declared.message_count, "consumers": declared.consumer_count}
            )
    return queues


def _list_queues(_: BaseHandler) -> list[str]:
    """Return all queues. Flower's own leaves out those of a worker that did not answer it when Flower started."""
    return sorted(app.amqp.queues)


def install() -> None:
    """Replace Flower's RabbitMQ class and its list of queues for the life of the process."""
    broker.RabbitMQ = AmqpBroker
    BaseHandler.get_active_queue_names = _list_queues

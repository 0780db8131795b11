"""The queues on Flower's page of the broker, where that is RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from flower.utils import broker  # type: ignore[import-untyped]

from pipeline.celery import app


class AmqpBroker(broker.BrokerBase):  # type: ignore[misc]  # Flower has no types
    """RabbitMQ's queues, asked for as workers do.

    Flower itself asks a management API, which a server may not have, and unless it is told where that is sends the
    broker's password to a port that it guesses, without TLS.
    """

    async def queues(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Return the length and the consumers of each queue."""
        return await asyncio.to_thread(_declare_queues, [name for name in names if name in app.amqp.queues])


def _declare_queues(names: list[str]) -> list[dict[str, Any]]:
    found = []
    with app.connection_for_read() as connection:
        for name in names:
            queue: Any = app.amqp.queues[name](connection.default_channel)
            declared = queue.queue_declare()
            found.append({"name": name, "messages_ready": declared.message_count, "consumers": declared.consumer_count})
    return found


def install() -> None:
    """Have Flower ask so, for the life of the process."""
    broker.RabbitMQ = AmqpBroker

"""Whether RabbitMQ takes messages: it answers other requests while a memory or disk alarm stops publishers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery import Celery

from pipeline.queues.queues import PROBE_KEY


class RabbitProbe:
    """Publishes a message that no queue gets, on a connection of its own in a thread.

    While an alarm is on, RabbitMQ reads nothing more from a connection that publishes: the next request on it is not
    answered.
    """

    def __init__(self, app: Celery, *, timeout_seconds: float) -> None:
        """Publish over a connection of the app; a check fails after `timeout_seconds`."""
        self._timeout_seconds = timeout_seconds
        self._connection: Any = app.connection_for_write()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rabbitmq-probe")
        self._probing: asyncio.Future[None] | None = None

    async def check(self) -> None:
        """Raise when RabbitMQ takes no messages. Concurrent callers share one probe."""
        if self._probing is None or self._probing.done():
            self._probing = asyncio.get_running_loop().run_in_executor(self._thread, self._probe)
        await asyncio.wait_for(asyncio.shield(self._probing), self._timeout_seconds)

    async def close(self) -> None:
        """Close the connection and end the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.collect)
        self._thread.shutdown(wait=False)

    def _probe(self) -> None:
        try:
            channel = self._connection.default_channel
            channel._basic_publish(channel.prepare_message(b""), routing_key=PROBE_KEY)  # noqa: SLF001  # unconfirmed
            channel.basic_qos(0, 1, a_global=False)
        except BaseException:
            self._connection.collect()
            raise

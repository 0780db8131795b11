"""Celery's consumer in a worker's parent, which drops messages that this version cannot read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer

from pipeline.broker.message_schema import check_message
from pipeline.broker.unreadable_messages import report_unreadable_message

HEARTBEAT_SECONDS = 10.0
"""How often a worker tells Flower that it is alive. Celery's own 2 s are a sixth of what an idle worker does."""

logger = logging.getLogger(__name__)


class CheckingConsumer(Consumer):
    """Checks each message before Celery reads it. Celery's own consumer ends with the worker at many of them."""

    connection_errors: tuple[type[Exception], ...]

    def __init__(self, *args: Any, **options: Any) -> None:
        given = options.get("worker_options") or {}
        interval = given.get("heartbeat_interval") or HEARTBEAT_SECONDS
        super().__init__(*args, **options | {"worker_options": given | {"heartbeat_interval": interval}})

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """Return the function that takes a message from kombu."""
        handle = super().create_task_handler(*args, **options)

        def check_and_handle(message: Any) -> None:
            try:
                check_message(message)
            except Exception as error:  # noqa: BLE001  # kombu's decoders raise any
                self.on_decode_error(message, error)
            else:
                handle(message)

        return check_and_handle

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Report a message that cannot be read, and drop it."""
        headers, queue = message.headers, message.delivery_info.get("routing_key")
        message_id = headers.get("id") if isinstance(headers, dict) else None
        report_unreadable_message(exc, queue=queue, message_id=message_id)
        message.reject_log_error(logger, self.connection_errors)

    def on_unknown_message(self, _: Any, message: Any) -> None:
        """Drop a message that is no task."""
        self.on_decode_error(message, ValueError("it is no task"))

    def on_unknown_task(self, _: Any, message: Any, exc: Exception) -> None:
        """Drop a message of a task that this version does not have."""
        self.on_decode_error(message, exc)

    def on_invalid_task(self, _: Any, message: Any, exc: Exception) -> None:
        """Drop a message of a task with values that Celery refuses."""
        self.on_decode_error(message, exc)

"""Sends messages to queues in Redis, as kombu does, but those of a block in one packet."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import structlog
from kombu.exceptions import OperationalError
from kombu.utils import functional
from kombu.utils.json import JSONEncoder
from redis.exceptions import RedisError

from pipeline.broker.direct_connection import DirectConnection

RETRIES: dict[str, Any] = {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
"""How often a message is sent again that Redis does not take: Celery's defaults."""
PERSISTENT = 2

log = structlog.get_logger("pipeline")
_retry: Any = functional.retry_over_time  # its types are wrong
_encode = JSONEncoder().encode


class DirectPublisher:
    """Sends messages over a connection that stays open, from one thread."""

    def __init__(self, pool: Any) -> None:
        """Connect at first use, like the connections of this pool of redis-py."""
        self._connection = DirectConnection(pool)

    def send(self, entries: list[tuple[str, str]]) -> None:
        """Append each entry to its queue. Raises kombu's `OperationalError` when Redis takes them at no attempt.

        An entry may be in its queue twice then: messages are delivered at least once.
        """
        commands = [("LPUSH", queue, entry) for queue, entry in entries]
        try:
            _retry(self._connection.execute, (RedisError, OSError), commands, errback=_log_retry, **RETRIES)
        except (RedisError, OSError) as error:
            raise OperationalError(str(error)) from error

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


class Batch:
    """Messages that are sent when the block ends without an error. Celery takes it for a producer.

    Whatever else Celery asks of a producer, one of kombu's does, which is acquired then.
    """

    def __init__(self, publisher: DirectPublisher, acquire: Callable[[], AbstractContextManager[Any]]) -> None:
        self._publisher = publisher
        self._acquire = acquire
        self._entries: list[tuple[str, str]] = []
        self._resources = ExitStack()

    def add(self, queue: str, *, body: Any, headers: dict[str, Any], properties: dict[str, Any]) -> None:
        """Add a message, which is in the queue once the block has ended."""
        self._entries.append((queue, _build_entry(queue, body, headers, properties)))

    def __enter__(self) -> Self:
        """Begin with no message."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Send the messages, or none after an error."""
        with self._resources as resources:
            if error is not None:
                resources.__exit__(kind, error, traceback)
            elif self._entries:
                self._publisher.send(self._entries)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of kombu's producer."""
        return getattr(self._producer, name)

    @cached_property
    def _producer(self) -> Any:
        return self._resources.enter_context(self._acquire())


def _build_entry(queue: str, body: Any, headers: dict[str, Any], properties: dict[str, Any]) -> str:
    """Return the entry of a queue that kombu makes of a persistent message in JSON."""
    return _encode(
        {
            "body": b64encode(_encode(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {
                **properties,
                "delivery_mode": PERSISTENT,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    )


def _log_retry(error: Exception, waits: Any, _: int) -> float:
    log.warning("message.unsent", error=repr(error))
    return float(next(waits))

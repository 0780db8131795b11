"""Connections of redis-py on uvloop: a closed connection raises redis-py's own error, as on asyncio's loop."""

from __future__ import annotations

from functools import cache
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError


class ConnectionErrorWhenClosed:
    """Mixin of a connection: converts uvloop's RuntimeError for a write to a closed transport.

    redis-py retries after its own connection errors, and callers handle those. Neither handles a RuntimeError.
    """

    async def send_packed_command(self, *args: Any, **options: Any) -> None:
        """Send a command. Raises ConnectionError when the connection is lost."""
        try:
            await super().send_packed_command(*args, **options)  # type: ignore[misc]  # defined by the connection class
        except RuntimeError as error:
            raise RedisConnectionError(str(error)) from error


def raise_connection_error_when_closed(redis: Redis) -> Redis:
    """Make a client that is not connected yet use `ConnectionErrorWhenClosed`; return the client."""
    pool: Any = redis.connection_pool
    pool.connection_class = _raising_connection_class(pool.connection_class)
    return redis


@cache
def _raising_connection_class(connection_class: Any) -> Any:
    if issubclass(connection_class, ConnectionErrorWhenClosed):
        return connection_class
    return type(connection_class.__name__, (ConnectionErrorWhenClosed, connection_class), {})

"""redis-py's connections on uvloop: one that the server has closed says so, as it does on asyncio's own loop."""

from __future__ import annotations

from functools import cache
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError


class ConnectionErrorWhenClosed:
    """Mixed into a connection: uvloop's RuntimeError for a write to a closed transport becomes redis-py's own.

    redis-py tries again after the errors of a lost connection, and its callers expect those; a RuntimeError passes
    through all of them.
    """

    async def send_packed_command(self, *args: Any, **options: Any) -> None:
        """Send; ConnectionError when the connection was lost."""
        try:
            await super().send_packed_command(*args, **options)  # type: ignore[misc]  # the connection's
        except RuntimeError as error:
            raise RedisConnectionError(str(error)) from error


def raise_connection_error_when_closed(redis: Redis) -> Redis:
    """Have a client that is not connected yet open connections of this kind; return it."""
    pool: Any = redis.connection_pool
    pool.connection_class = _raising_connection_class(pool.connection_class)
    return redis


@cache
def _raising_connection_class(connection_class: Any) -> Any:
    if issubclass(connection_class, ConnectionErrorWhenClosed):
        return connection_class
    return type(connection_class.__name__, (ConnectionErrorWhenClosed, connection_class), {})

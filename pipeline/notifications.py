"""Notifications that a job changed, over Redis publish/subscribe. They may be lost: the document is authoritative."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from time import monotonic
from typing import Any

from redis.asyncio import Redis as AsyncRedis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pipeline.broker.redis_urls import RedisUrl

CHANGES_CHANNEL, ENDS_CHANNEL = "darkroom.changes", "darkroom.ends"
"""Channels of changes and of ends of jobs. A gateway subscribes to the changes only while it streams them."""
SUBSCRIBED = ""
"""Yielded once the subscription has begun: notifications of earlier changes may have been missed."""
PUBLISH_SECONDS = 0.3  # longest delay of a stage by a notification while Redis hangs
LISTEN_SECONDS = 10.0
PAUSE_SECONDS = 5.0  # after an error, before the next notification
UNANSWERED_MS = 5000  # time without acknowledgement after which the kernel closes the connection
KEEPALIVE = {socket.TCP_USER_TIMEOUT: UNANSWERED_MS} if hasattr(socket, "TCP_USER_TIMEOUT") else {}


class Notifications:
    """The worker's side: publish without waiting for an answer. Errors are ignored: the document is authoritative."""

    def __init__(self, redis_url: str) -> None:
        self._redis = RedisUrl(redis_url).open(
            socket_timeout=PUBLISH_SECONDS,
            socket_connect_timeout=PUBLISH_SECONDS,
            socket_keepalive=True,
            socket_keepalive_options=KEEPALIVE,
            retry=Retry(NoBackoff(), 0),
        )
        self._connection: Any = None
        self._paused_until = 0.0

    def publish_change(self, job_id: str, *, has_ended: bool = False) -> None:
        """Publish that the job's document has changed; `has_ended` says that the job has ended."""
        if monotonic() < self._paused_until:
            return
        try:
            self._open_connection().send_command(
                "PUBLISH", ENDS_CHANNEL if has_ended else CHANGES_CHANNEL, job_id, check_health=False
            )
        except (RedisError, OSError):
            self._paused_until = monotonic() + PAUSE_SECONDS
            self._disconnect()

    def close(self) -> None:
        """Close the connection."""
        self._disconnect()
        self._redis.close()

    def _open_connection(self) -> Any:
        """Return a connection on which Redis sends no answers: reading them would double a notification's cost."""
        if self._connection is None:
            pool: Any = self._redis.connection_pool
            connection = pool.get_connection()
            connection.send_command("CLIENT", "REPLY", "OFF")
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._redis.connection_pool.release(connection)


async def subscribe(redis: AsyncRedis, channel: str) -> AsyncGenerator[str, None]:
    """Yield SUBSCRIBED, then the id of each job published in the channel. RedisError when the connection is lost."""
    async with redis.pubsub() as subscription:
        await subscription.subscribe(channel)
        while True:
            message = await subscription.get_message(timeout=LISTEN_SECONDS)
            if message is not None:
                yield message["data"].decode(errors="replace") if message["type"] == "message" else SUBSCRIBED

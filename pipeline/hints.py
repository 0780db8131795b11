"""Hints that a job has changed, over Redis' publish and subscribe: they may get lost, the job document is the truth."""

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

CHANGES, ENDS = "darkroom.changes", "darkroom.ends"
"""Channels: of changes that leave a job under way, which a gateway hears only while it streams, and of ends."""
LISTENING = ""
"""What comes before the first hint: whatever changed before it may have gone unheard."""
PUBLISH_SECONDS = 0.3  # what a hint may cost a stage while Redis hangs
LISTEN_SECONDS = 10.0
PAUSE_SECONDS = 5.0  # before the next try then
UNANSWERED_MS = 5000  # after which the kernel gives up a connection whose other end takes nothing
KEEPALIVE = {socket.TCP_USER_TIMEOUT: UNANSWERED_MS} if hasattr(socket, "TCP_USER_TIMEOUT") else {}


class Hints:
    """The worker's side: tell whoever watches, and wait for no answer. What fails is not told."""

    def __init__(self, redis_url: str) -> None:
        self._redis = RedisUrl(redis_url).open(
            socket_timeout=PUBLISH_SECONDS,
            socket_connect_timeout=PUBLISH_SECONDS,
            socket_keepalive=True,
            socket_keepalive_options=KEEPALIVE,
            retry=Retry(NoBackoff(), 0),
        )
        self._connection: Any = None
        self._silent_until = 0.0

    def changed(self, job_id: str, *, ended: bool = False) -> None:
        """Tell that the job's document has changed, and whether it will not change again."""
        if monotonic() < self._silent_until:
            return
        try:
            self._connected().send_command("PUBLISH", ENDS if ended else CHANGES, job_id, check_health=False)
        except (RedisError, OSError):
            self._silent_until = monotonic() + PAUSE_SECONDS
            self._hang_up()

    def close(self) -> None:
        """Hang up."""
        self._hang_up()
        self._redis.close()

    def _connected(self) -> Any:
        """Return a connection on which Redis does not answer: half of what a hint would cost goes into its answer."""
        if self._connection is None:
            pool: Any = self._redis.connection_pool
            connection = pool.get_connection()
            connection.send_command("CLIENT", "REPLY", "OFF")
            self._connection = connection
        return self._connection

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._redis.connection_pool.release(connection)


async def heard(redis: AsyncRedis, channel: str) -> AsyncGenerator[str, None]:
    """Yield LISTENING, and then the jobs that are told of in a channel; RedisError once the connection is lost."""
    async with redis.pubsub() as subscription:
        await subscription.subscribe(channel)
        while True:
            message = await subscription.get_message(timeout=LISTEN_SECONDS)
            if message is not None:
                yield message["data"].decode() if message["type"] == "message" else LISTENING

"""A Redis list of messages with events: one consumer takes them in turn, and loses none when it dies.

Senders push to the list, with RPUSH. `LIST:processing` has what the consumer has taken and not finished: after a crash
the next one begins with it. `LIST:dead` has the last of what nobody could read, `LIST:consumer` who the consumer is.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

LEASE_SECONDS = 15


class EventList:
    """The consumer's side of the list. Methods raise RedisError.

    A consumer that stalls may lose its lease unnoticed. Then two handle the same message, which makes one job.
    """

    def __init__(self, redis: Redis, name: str, *, holder: str, max_dead: int) -> None:
        self._redis, self._name, self._holder, self._max_dead = redis, name, holder, max_dead

    async def hold(self) -> bool:
        """Become the consumer, or go on as such, for LEASE_SECONDS; False when another one is."""
        key = f"{self._name}:consumer"
        if await self._redis.set(key, self._holder, nx=True, ex=LEASE_SECONDS):
            return True
        if await self._redis.get(key) != self._holder.encode():
            return False
        return bool(await self._redis.expire(key, LEASE_SECONDS))

    async def release(self) -> None:
        """Let another one become the consumer at once."""
        if await self._redis.get(f"{self._name}:consumer") == self._holder.encode():
            await self._redis.delete(f"{self._name}:consumer")

    async def take(self) -> bytes | None:
        """Return the message that is not finished, else the oldest one of the list; None when there is none."""
        redis: Any = self._redis  # its types are those of the blocking client, too
        message: bytes | None = await redis.lindex(f"{self._name}:processing", 0)
        if message is not None:
            return message
        taken: bytes | None = await redis.lmove(self._name, f"{self._name}:processing", "LEFT", "RIGHT")
        return taken

    async def finish(self, message: bytes) -> None:
        """Remove a message that was taken, once its jobs are inserted."""
        redis: Any = self._redis
        await redis.lrem(f"{self._name}:processing", 1, message)

    async def bury(self, message: bytes) -> None:
        """Move a message that was taken to the dead ones, of which the last `max_dead` are kept."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.rpush(f"{self._name}:dead", message)
            pipeline.ltrim(f"{self._name}:dead", -self._max_dead, -1)
            pipeline.lrem(f"{self._name}:processing", 1, message)  # type: ignore[arg-type]  # bytes, too
            await pipeline.execute()

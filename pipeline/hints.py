"""Hints that a job has changed, over Redis' publish and subscribe: they may get lost, the job document is the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from redis.asyncio import Redis as AsyncRedis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pipeline.redis_urls import RedisUrl

CHANNEL = "darkroom.changes"
ENDED = " ended"
PUBLISH_SECONDS = 0.3  # what a hint may cost a stage while Redis hangs
LISTEN_SECONDS = 10.0
PAUSE_SECONDS = 5.0  # before the next try then


class Hint(NamedTuple):
    """A job that has changed, and whether that was its end."""

    job_id: str
    ended: bool = False


class Hints:
    """The worker's side: tell whoever watches. What fails is not told."""

    def __init__(self, redis_url: str) -> None:
        self._redis = RedisUrl(redis_url).open(
            socket_timeout=PUBLISH_SECONDS,
            socket_connect_timeout=PUBLISH_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._silent_until = 0.0

    def changed(self, job_id: str, *, ended: bool = False) -> None:
        """Tell that the job's document has changed, and whether it will not change again."""
        if monotonic() < self._silent_until:
            return
        try:
            self._redis.publish(CHANNEL, job_id + ENDED if ended else job_id)
        except (RedisError, OSError):
            self._silent_until = monotonic() + PAUSE_SECONDS

    def close(self) -> None:
        """Hang up."""
        with suppress(RedisError, OSError):
            self._redis.close()


async def changed_jobs(redis: AsyncRedis) -> AsyncIterator[Hint]:
    """Yield the jobs as they are told to have changed; raises RedisError once the connection is lost."""
    async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(CHANNEL)
        while True:
            message = await subscription.get_message(timeout=LISTEN_SECONDS)
            if message is not None:
                told = message["data"].decode()
                yield Hint(told.removesuffix(ENDED), told.endswith(ENDED))

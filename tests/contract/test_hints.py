"""Hints that a job has changed, from a worker to a gateway, over a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis import Redis

from pipeline import hints
from pipeline.hints import CHANNEL, Hint, Hints
from pipeline.queues import open_queues
from pipeline.settings import Settings
from tests.fakes import NOWHERE

SECONDS = 10.0


@pytest.fixture
async def heard(redis: Redis, settings: Settings) -> AsyncIterator[AsyncIterator[Hint]]:
    """What a gateway hears, from when it listens."""
    async with open_queues(settings) as queues:
        told = queues.changed_jobs()
        first = asyncio.ensure_future(anext(told))
        async with asyncio.timeout(SECONDS):
            while dict(redis.pubsub_numsub(CHANNEL)).get(CHANNEL.encode(), 0) == 0:  # noqa: ASYNC110  # Redis knows
                await asyncio.sleep(0.01)

        async def all_of_them() -> AsyncIterator[Hint]:
            yield await first
            async for hint in told:
                yield hint

        yield all_of_them()


async def test_a_hint_names_its_job_and_tells_its_end(heard: AsyncIterator[Hint], settings: Settings) -> None:
    worker = Hints(settings.redis_url)
    worker.changed("one")
    worker.changed("other", ended=True)

    async with asyncio.timeout(SECONDS):
        assert [await anext(heard), await anext(heard)] == [Hint("one", ended=False), Hint("other", ended=True)]
    worker.close()


def test_a_hint_to_a_broker_that_is_away_is_no_error() -> None:
    worker = Hints(NOWHERE)

    worker.changed("job")
    worker.changed("job")

    worker.close()


def test_after_a_hint_that_failed_there_are_none_for_a_while(
    redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Hints(settings.redis_url)
    with redis.pubsub(ignore_subscribe_messages=True) as gateway:  # type: ignore[no-untyped-call]
        gateway.subscribe(CHANNEL)
        gateway.get_message(timeout=SECONDS)
        worker._silent_until = float("inf")
        worker.changed("unheard")
        monkeypatch.setattr(hints, "monotonic", lambda: float("inf"))
        worker.changed("heard")
        message = next(filter(None, iter(lambda: gateway.get_message(timeout=SECONDS), b"")))

    assert message["data"] == b"heard"
    worker.close()

"""Notifications that a job has changed, from a worker to a gateway, over a real Redis."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from redis import Redis

from deploy.local.stack import Stack
from pipeline import notifications
from pipeline.notifications import CHANGES_CHANNEL, ENDS_CHANNEL, SUBSCRIBED, Notifications
from pipeline.queues.open_queues import open_queues
from pipeline.queues.queues import Queues
from pipeline.settings import Settings
from tests.integration.api_helpers import wait_until
from tests.support.fakes import UNREACHABLE_URL

SECONDS = 10.0


@pytest.fixture
async def queues(settings: Settings) -> AsyncIterator[Queues]:
    async with open_queues(settings) as queues:
        yield queues


async def test_an_end_is_heard_by_those_who_hear_ends(queues: Queues, settings: Settings) -> None:
    worker = Notifications(settings.redis_url)

    async with asyncio.timeout(SECONDS), aclosing(queues.ended_jobs()) as ended:
        first = await anext(ended)
        worker.publish_change("one")
        worker.publish_change("other", has_ended=True)
        heard = await anext(ended)

    assert (first, heard) == (SUBSCRIBED, "other")
    worker.close()


async def test_changes_are_heard_in_their_order_and_no_end_among_them(queues: Queues, settings: Settings) -> None:
    worker = Notifications(settings.redis_url)

    async with asyncio.timeout(SECONDS), aclosing(queues.changed_jobs()) as changed:
        first = await anext(changed)
        for job_id in ("one", "two"):
            worker.publish_change(job_id)
            worker.publish_change(job_id, has_ended=True)
        heard = [await anext(changed), await anext(changed)]

    assert (first, heard) == (SUBSCRIBED, ["one", "two"])
    worker.close()


async def test_who_hears_no_more_is_not_told(redis: Redis, queues: Queues) -> None:
    async with asyncio.timeout(SECONDS):
        async with aclosing(queues.changed_jobs()) as changed:
            await anext(changed)
            before = dict(redis.pubsub_numsub(CHANGES_CHANNEL))
        while dict(redis.pubsub_numsub(CHANGES_CHANNEL)) == before:  # noqa: ASYNC110  # Redis knows
            await asyncio.sleep(0.01)

    assert before == {CHANGES_CHANNEL.encode(): 1}


def test_a_hint_to_a_broker_that_is_away_is_no_error() -> None:
    worker = Notifications(UNREACHABLE_URL)

    worker.publish_change("job")
    worker.publish_change("job")

    worker.close()


def test_a_hint_to_a_broker_that_hangs_holds_nobody_up(redis_and_mongo: Stack, settings: Settings) -> None:
    worker = Notifications(settings.redis_url)
    worker.publish_change("first")
    redis_and_mongo.signal("redis", signal.SIGSTOP)
    try:
        for _ in range(1000):  # a thousand answers would take minutes to wait for
            worker.publish_change("job")
    finally:
        redis_and_mongo.signal("redis", signal.SIGCONT)

    worker.close()


def test_a_worker_whose_connection_was_closed_is_heard_again(
    redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "PAUSE_SECONDS", 0)
    worker = Notifications(settings.redis_url)
    worker.publish_change("before")
    with redis.pubsub(ignore_subscribe_messages=True) as gateway:  # type: ignore[no-untyped-call]
        gateway.subscribe(ENDS_CHANNEL)
        gateway.get_message(timeout=SECONDS)
        redis.client_kill_filter(_type="normal", skipme=True)

        def is_heard() -> bool:
            worker.publish_change("after", has_ended=True)
            return bool(gateway.get_message(timeout=0.1))

        wait_until(is_heard, "a hint")
    worker.close()


def test_after_a_hint_that_failed_there_are_none_for_a_while(
    redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Notifications(settings.redis_url)
    with redis.pubsub(ignore_subscribe_messages=True) as gateway:  # type: ignore[no-untyped-call]
        gateway.subscribe(CHANGES_CHANNEL)
        gateway.get_message(timeout=SECONDS)
        worker._paused_until = float("inf")
        worker.publish_change("unheard")
        monkeypatch.setattr(notifications, "monotonic", lambda: float("inf"))
        worker.publish_change("heard")
        message = next(filter(None, iter(lambda: gateway.get_message(timeout=SECONDS), b"")))

    assert message["data"] == b"heard"
    worker.close()

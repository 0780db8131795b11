"""The Redis list that events come from, on a real server: no message is lost, and one that nobody can read is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pymongo.errors import AutoReconnect
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from structlog.typing import EventDict

from gateway.ingest.consumer import MAX_FAILURES, MAX_MESSAGE_BYTES
from gateway.ingest.event_list import EventList
from gateway.ingest.open_consumer import open_consumer
from gateway.ingest.preparation import Preparation
from gateway.lifespan import run_in_background
from gateway.metrics import GatewayMetrics
from gateway.submission.lanes import LaneChooser
from gateway.webhooks.rendition_interest import RenditionInterest
from pipeline.http_settings import AccessSettings
from pipeline.ingest_settings import IngestSettings
from pipeline.outbound_settings import SourceBucket
from pipeline.presets.registry import Presets
from pipeline.settings import Settings
from storage.documents import Job
from storage.jobs import Jobs
from storage.stores import Stores
from tests.contract.http_helpers import list_job_ids
from tests.support.bucket_events import minio_record, minio_redis
from tests.support.fakes import FakeQueues
from tests.support.presets import build_presets

NAME = "bucket-events"
LISTS = (NAME, f"{NAME}:processing", f"{NAME}:dead")


class World:
    """A list, its senders, and gateways that may consume it."""

    def __init__(self, settings: Settings, stores: Stores, redis: Redis) -> None:
        wanted = IngestSettings(redis_list=NAME, max_dead=3)
        sources = {"*": (SourceBucket(url="s3://incoming"),)}
        self.settings = settings.model_copy(update={"ingest": wanted, "sources": sources})
        self.stores, self.redis, self.queues = stores, redis, FakeQueues()
        self.presets: Presets = build_presets()
        self.metrics = GatewayMetrics()

    def push(self, *messages: Any) -> None:
        """Push as MinIO does; bytes as they are."""
        for each in messages:
            self.redis.rpush(NAME, each if isinstance(each, bytes) else json.dumps(each))

    def lengths(self) -> list[Any]:
        """Return how many messages wait, are processed, and are dead."""
        return [self.redis.llen(name) for name in LISTS]

    async def consume(self, *, rounds: int) -> list[bool]:
        """Run rounds of a gateway that goes away at once after them, as if it were killed."""
        async with self.open() as consumer:
            return [await consumer.run_round() for _ in range(rounds)]

    def open(self) -> Any:
        preparation = Preparation(
            stores=self.stores,
            settings=self.settings,
            metrics=self.metrics,
            lanes=LaneChooser(self.settings.lanes),
            presets=self.presets,
            renditions=RenditionInterest(self.stores.webhooks),
        )
        return open_consumer(preparation, self.queues)

    def end_lease(self) -> None:
        self.redis.delete(f"{NAME}:consumer")


class LostJobs(Jobs):
    async def insert(self, job: Job) -> None:  # noqa: ARG002
        raise AutoReconnect("10.0.0.7 is away")


class BrokenJobs(Jobs):
    async def insert(self, job: Job) -> None:  # noqa: ARG002
        raise ZeroDivisionError


@pytest.fixture
def world(settings: Settings, stores: Stores, redis: Redis) -> World:
    return World(settings, stores, redis)


@pytest.fixture
async def connection(settings: Settings, redis: Redis) -> AsyncIterator[AsyncRedis]:  # noqa: ARG001
    async with AsyncRedis.from_url(settings.redis_url) as connection:
        yield connection


def message(number: int) -> list[dict[str, Any]]:
    return minio_redis(minio_record(f"{number}.jpg"))


async def names(world: World) -> list[str]:
    jobs = [await world.stores.jobs.get(job_id) for job_id in await list_job_ids()]
    return sorted(job.source.key or "" for job in jobs if job.source)


async def test_messages_are_taken_in_the_order_in_which_they_came(connection: AsyncRedis, redis: Redis) -> None:
    events = EventList(connection, NAME, holder="one", max_dead=3)
    redis.rpush(NAME, "first", "second")

    taken = []
    for _ in range(2):
        taken.append(await events.take())
        await events.finish(taken[-1] or b"")

    assert taken == [b"first", b"second"]
    assert await events.take() is None


async def test_a_message_that_is_not_finished_is_taken_again_by_whoever_comes(
    connection: AsyncRedis, redis: Redis
) -> None:
    one, other = (EventList(connection, NAME, holder=name, max_dead=3) for name in ("one", "other"))
    redis.rpush(NAME, "first", "second")

    assert (await one.take(), await other.take()) == (b"first", b"first")


async def test_one_consumer_holds_the_list_until_it_releases_it(connection: AsyncRedis) -> None:
    one, other = (EventList(connection, NAME, holder=name, max_dead=3) for name in ("one", "other"))

    held = [await one.hold(), await other.hold(), await one.hold()]
    await other.release()
    held.append(await other.hold())
    await one.release()
    held.append(await other.hold())

    assert held == [True, False, True, False, True]


async def test_the_last_dead_messages_are_kept(connection: AsyncRedis, redis: Redis) -> None:
    events = EventList(connection, NAME, holder="one", max_dead=2)
    redis.rpush(NAME, "1", "2", "3")

    while (taken := await events.take()) is not None:
        await events.bury(taken)

    assert redis.lrange(f"{NAME}:dead", 0, -1) == [b"2", b"3"]
    assert redis.llen(f"{NAME}:processing") == 0


async def test_each_message_becomes_its_jobs(world: World) -> None:
    world.push(message(1), message(2), minio_redis(minio_record("3.jpg"), minio_record("4.jpg")))

    assert await world.consume(rounds=4) == [True, True, True, False]
    assert await names(world) == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert world.lengths() == [0, 0, 0]


async def test_the_jobs_of_a_message_are_dispatched(world: World) -> None:
    world.push(message(1))
    await world.consume(rounds=1)

    (dispatched,) = [json.loads(each) for each in world.redis.lrange("fetch", 0, -1)]
    assert dispatched["headers"]["root_id"].startswith((await list_job_ids())[0])


async def test_a_message_whose_consumer_died_is_handled_by_the_next_one_and_makes_no_second_job(world: World) -> None:
    world.push(message(1), message(2))
    world.redis.lmove(NAME, f"{NAME}:processing", "LEFT", "RIGHT")
    await world.consume(rounds=1)
    world.push(message(1))
    world.end_lease()

    assert await world.consume(rounds=3) == [True, True, False]
    assert await names(world) == ["1.jpg", "2.jpg"]
    assert world.lengths() == [0, 0, 0]


async def test_while_the_database_is_away_a_message_waits(world: World, stores: Stores) -> None:
    world.push(message(1))
    world.stores = replace(stores, jobs=LostJobs())
    async with world.open() as consumer:
        for _ in range(MAX_FAILURES + 1):
            with pytest.raises(AutoReconnect):
                await consumer.run_round()
    waiting = world.lengths()
    world.stores = stores
    world.end_lease()

    await world.consume(rounds=1)

    assert waiting == [0, 1, 0]
    assert await names(world) == ["1.jpg"]


@pytest.mark.parametrize("poison", [b"no JSON", b"{}", b"\xff", b" " * (MAX_MESSAGE_BYTES + 1)])
async def test_a_message_that_cannot_be_read_is_put_aside(world: World, poison: bytes) -> None:
    world.push(poison, message(1))

    assert await world.consume(rounds=2) == [True, True]
    assert world.redis.lrange(f"{NAME}:dead", 0, -1) == [poison]
    assert await names(world) == ["1.jpg"]


async def test_a_message_that_the_gateway_fails_at_is_put_aside_after_some_rounds(
    world: World, stores: Stores, logs: list[EventDict]
) -> None:
    world.push(message(1))
    world.stores = replace(stores, jobs=BrokenJobs())
    async with world.open() as consumer:
        for _ in range(MAX_FAILURES - 1):
            with pytest.raises(ZeroDivisionError):
                await consumer.run_round()

        assert await consumer.run_round()

    assert world.lengths() == [0, 0, 1]
    assert "ingest.dead" in [line["event"] for line in logs]


async def test_one_of_two_gateways_works(world: World) -> None:
    world.push(message(1), message(2))
    async with world.open() as one, world.open() as other:
        assert [await one.run_round(), await other.run_round(), await one.run_round()] == [True, False, True]


async def test_a_gateway_that_stops_lets_another_one_go_on_at_once(world: World) -> None:
    world.push(message(1))
    async with world.open() as one, run_in_background(one.run()), asyncio.timeout(30):
        while not await list_job_ids():  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.01)

    assert world.redis.get(f"{NAME}:consumer") is None


@pytest.mark.parametrize("what", ["a preset", "room in the queues"])
async def test_messages_wait_for_what_is_missing(world: World, what: str) -> None:
    world.push(message(1))
    if what == "a preset":
        wanted = world.settings.ingest.model_copy(update={"preset": "missing"})
        world.settings = world.settings.model_copy(update={"ingest": wanted})
    else:
        world.settings = world.settings.model_copy(update={"access": AccessSettings(max_queue=1)})
        world.queues.push("validate", 1)

    assert await world.consume(rounds=1) == [False]
    assert world.lengths() == [1, 0, 0]


@pytest.mark.parametrize(("owner", "keys"), [(None, {"ada": "0" * 64}), ("zoe", {"ada": "0" * 64}), ("ada", {})])
def test_a_list_needs_an_owner_that_there_is(owner: str | None, keys: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="DARKROOM_INGEST__OWNER"):
        Settings(api_keys=keys, ingest=IngestSettings(redis_list=NAME, owner=owner))

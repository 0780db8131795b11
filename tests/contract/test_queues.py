"""The queues, as the app really fills them in Redis, and their fake."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError
from structlog.typing import EventDict

from pipeline.broker.unreadable_messages import call_on_unreadable_message
from pipeline.celery import app
from pipeline.queues.open_queues import open_queues
from pipeline.queues.queues import Queues
from pipeline.queues.redis_queues import LOOKAHEAD
from pipeline.routing import NOTIFY, QUEUES, STAGE_QUEUES
from pipeline.settings import Settings
from storage.clock import now_ms
from tests.support.fakes import UNREACHABLE_URL, FakeQueues
from tests.support.forged_messages import IN_REDIS, ForgedMessage, mark_sent


@dataclass
class Subject:
    """Queues, and the way to put a message into one."""

    queues: Queues

    def send(self, queue: str) -> None:
        if isinstance(self.queues, FakeQueues):
            self.queues.push(queue, now_ms())
        else:
            app.send_task("validate", ["job"], queue=queue)


@pytest.fixture(params=["real", "fake"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "fake":
        yield Subject(FakeQueues())
        return
    request.getfixturevalue("redis")
    async with open_queues(request.getfixturevalue("settings")) as queues:
        yield Subject(queues)


@pytest.fixture(params=["real", "fake"])
async def away(request: pytest.FixtureRequest) -> AsyncIterator[Queues]:
    """Queues of a broker that does not answer."""
    if request.param == "fake":
        queues = FakeQueues()
        queues.is_down = True
        yield queues
        return
    async with open_queues(Settings(redis_url=UNREACHABLE_URL)) as real:
        yield real


async def test_an_empty_queue_has_no_oldest_message(subject: Subject) -> None:
    assert await subject.queues.read_oldest_message_ms("validate") is None


async def test_a_message_is_as_old_as_when_it_was_sent(subject: Subject) -> None:
    start = now_ms()

    subject.send("validate")

    assert start <= (await subject.queues.read_oldest_message_ms("validate") or 0) <= now_ms()


async def test_the_oldest_of_two_messages_is_the_first(subject: Subject) -> None:
    subject.send("validate")
    between = a_later_moment()
    subject.send("validate")

    assert (await subject.queues.read_oldest_message_ms("validate") or between) < between


async def test_a_queue_knows_nothing_of_another(subject: Subject) -> None:
    subject.send("normalize")

    assert await subject.queues.read_oldest_message_ms("validate") is None


async def test_a_look_takes_no_message_away(subject: Subject) -> None:
    subject.send("validate")

    seen = [await subject.queues.read_oldest_message_ms("validate") for _ in range(2)]

    assert seen[0] == seen[1] is not None


async def test_where_nothing_waits_the_longest_queue_is_empty(subject: Subject) -> None:
    assert await subject.queues.read_max_queue_length() == 0


async def test_the_longest_queue_is_told_by_its_messages(subject: Subject) -> None:
    for queue in ("validate", "resize", "resize", "resize", "transform", "transform"):
        subject.send(queue)

    assert await subject.queues.read_max_queue_length() == 3


@pytest.mark.parametrize("queue", STAGE_QUEUES)
async def test_every_queue_of_a_stage_can_be_the_longest(subject: Subject, queue: str) -> None:
    subject.send(queue)

    assert await subject.queues.read_max_queue_length() == 1


async def test_webhooks_that_wait_do_not_count(subject: Subject) -> None:
    subject.send(NOTIFY)

    assert await subject.queues.read_max_queue_length() == 0


async def test_measuring_takes_no_message_away(subject: Subject) -> None:
    subject.send("validate")

    seen = [await subject.queues.read_max_queue_length() for _ in range(2)]

    assert seen == [1, 1]


async def test_a_broker_that_answers_is_no_error(subject: Subject) -> None:
    await subject.queues.ping()


async def test_asking_a_broker_leaves_nothing_in_it(settings: Settings, redis: Redis) -> None:
    async with open_queues(settings) as queues:
        await queues.ping()

    assert redis.dbsize() == 0


async def test_a_full_broker_is_an_error_and_tells_its_memory(settings: Settings, redis: Redis) -> None:
    redis.config_set("maxmemory", 1)
    try:
        async with open_queues(settings) as queues:
            with pytest.raises(OutOfMemoryError):
                await queues.ping()
            memory = await queues.read_redis_memory()
    finally:
        redis.config_set("maxmemory", 0)

    assert memory.used_bytes > memory.max_bytes == 1


async def test_a_broker_without_a_limit_has_none_to_tell(settings: Settings, redis: Redis) -> None:  # noqa: ARG001
    async with open_queues(settings) as queues:
        memory = await queues.read_redis_memory()

    assert memory.used_bytes > 0
    assert memory.max_bytes == 0


async def test_a_broker_that_is_away_is_an_error(away: Queues) -> None:
    with pytest.raises(RedisConnectionError):
        await away.ping()


async def test_a_queue_of_a_broker_that_is_away_is_an_error(away: Queues) -> None:
    with pytest.raises(RedisConnectionError):
        await away.read_oldest_message_ms("validate")


async def test_the_longest_queue_of_a_broker_that_is_away_is_an_error(away: Queues) -> None:
    with pytest.raises(RedisConnectionError):
        await away.read_max_queue_length()


async def test_all_that_waits_is_told_at_once(subject: Subject) -> None:
    start = now_ms()
    for queue in ("validate", "resize", "resize"):
        subject.send(queue)

    waiting = await subject.queues.read_backlog()

    assert waiting.lengths == dict.fromkeys(QUEUES, 0) | {"validate": 1, "resize": 2}
    assert {queue for queue, sent_ms in waiting.oldest_ms.items() if sent_ms is not None} == {"validate", "resize"}
    assert start <= (waiting.oldest_ms["resize"] or 0) <= now_ms()
    assert (waiting.unacked, waiting.unacked_age_seconds) == (0, 0)


@pytest.mark.usefixtures("redis")
async def test_both_lanes_of_a_queue_are_told_as_one(settings: Settings) -> None:
    async with open_queues(settings) as queues:
        for lane in ("resize.bulk", "resize", "resize.bulk"):
            app.send_task("validate", ["job"], queue=lane)

        waiting, longest = await queues.read_backlog(), await queues.read_max_queue_length()

    assert (waiting.lengths["resize"], longest) == (3, 3)
    assert waiting.oldest_ms["resize"] is not None


async def test_what_waits_at_a_broker_that_is_away_is_an_error(away: Queues) -> None:
    with pytest.raises(RedisConnectionError):
        await away.read_backlog()


async def test_what_a_worker_holds_is_told_with_how_long(redis: Redis, settings: Settings) -> None:
    start = time.monotonic()
    app.send_task("validate", ["job"], queue="validate")
    with app.connection_for_read() as connection, connection.SimpleQueue("validate") as consumer:
        message = consumer.get(timeout=10)
        async with open_queues(settings) as queues:
            held = await queues.read_backlog()
        message.ack()

    assert (held.unacked, held.lengths["validate"]) == (1, 0)
    assert 0 < held.unacked_age_seconds <= time.monotonic() - start
    assert redis.hlen("unacked") == 0


def a_later_moment() -> int:
    """Return a time after now, once it has come."""
    moment = now_ms() + 1
    while now_ms() < moment:
        pass
    return moment


@pytest.mark.parametrize("entry", IN_REDIS.values(), ids=IN_REDIS)
async def test_an_unreadable_message_hides_no_other(redis: Redis, settings: Settings, entry: bytes) -> None:
    start = now_ms()
    redis.lpush("validate", entry)
    app.send_task("validate", ["job"], queue="validate")

    async with open_queues(settings) as queues:
        oldest_ms = await queues.read_oldest_message_ms("validate")
        backlog = await queues.read_backlog()

    assert oldest_ms == 0 or (oldest_ms and start <= oldest_ms <= now_ms())
    assert backlog.lengths["validate"] == 2
    assert backlog.oldest_ms["validate"] in (None, oldest_ms)


@pytest.mark.parametrize("sent_ms", ["now", None, 1.5, [5], {"$gt": 0}])
async def test_a_message_with_no_valid_time_is_skipped(redis: Redis, settings: Settings, sent_ms: object) -> None:
    redis.lpush("validate", mark_sent(ForgedMessage(), sent_ms).to_redis(), mark_sent(ForgedMessage(), 7).to_redis())

    async with open_queues(settings) as queues:
        assert await queues.read_oldest_message_ms("validate") == 7
        assert (await queues.read_backlog()).oldest_ms["validate"] == 7


async def test_behind_many_unreadable_messages_the_time_is_unknown(redis: Redis, settings: Settings) -> None:
    redis.lpush("validate", *[b"{"] * LOOKAHEAD, mark_sent(ForgedMessage(), 7).to_redis())

    async with open_queues(settings) as queues:
        assert await queues.read_oldest_message_ms("validate") == 0
        assert (await queues.read_backlog()).oldest_ms["validate"] is None


async def test_an_unreadable_message_is_reported_once_while_it_is_the_next(
    redis: Redis, settings: Settings, logs: list[EventDict]
) -> None:
    redis.lpush("validate", b"{", b"[")
    counted: list[None] = []

    async with open_queues(settings) as queues:
        with call_on_unreadable_message(lambda: counted.append(None)):
            for _ in range(3):
                await queues.read_oldest_message_ms("validate")
                await queues.read_backlog()
            redis.rpop("validate")
            await queues.read_backlog()

    events = [(line["event"], line["queue"]) for line in logs]
    assert events == [("message.unreadable", "validate")] * 2
    assert len(counted) == 2

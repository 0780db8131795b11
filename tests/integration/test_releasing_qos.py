"""Messages that a worker holds: what Redis could not be told of comes again, and nothing comes again too early."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from kombu import Connection, Queue
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from deploy.local.stack import Stack
from pipeline.broker.transport import patch_kombu
from tests.integration.api_helpers import wait_until
from tests.support.programs import ROOT
from tests.support.skewed_program import skew_command

VISIBILITY_SECONDS = 2
SKEW_SECONDS = 120
OPTIONS = {"socket_timeout": 0.3, "visibility_timeout": VISIBILITY_SECONDS, "unacked_restore_throttle": 1}


class Worker:
    """A consumer that may hold one message."""

    def __init__(self, connection: Connection, queue: str) -> None:
        self._connection = connection
        self._queue = Queue(queue, routing_key=queue)
        self._got: list[Any] = []

    def send(self, body: str) -> None:
        """Put a message into the queue."""
        with self._connection.clone() as other:
            other.Producer().publish(body, routing_key=self._queue.name, declare=[self._queue])

    @contextmanager
    def consuming(self, count: int = 1) -> Iterator[None]:
        """Be ready to take messages, and to hold `count` of them, until the block ends."""
        with self._connection.Consumer(self._queue, on_message=self._got.append, prefetch_count=count):
            yield

    def stop(self) -> None:
        """Hand back the messages that are held."""
        self._connection.close()

    def next(self) -> Any:
        """Return the next message; AssertionError when none comes."""
        wait_until(self._has_got, "a message", seconds=20)
        return self._got.pop()

    def _has_got(self) -> bool:
        with suppress(TimeoutError):
            self._connection.drain_events(timeout=0.5)
        return bool(self._got)


@pytest.fixture
def worker(redis_and_mongo: Stack, request: pytest.FixtureRequest) -> Iterator[Worker]:
    patch_kombu()
    with Connection(redis_and_mongo.redis_url, transport_options=OPTIONS) as connection:
        yield Worker(connection, request.node.name)


@contextmanager
def freeze_process(stack: Stack) -> Iterator[None]:
    """Let Redis answer nobody until the block ends."""
    stack.signal("redis", signal.SIGSTOP)
    try:
        yield
    finally:
        stack.signal("redis", signal.SIGCONT)


@pytest.mark.parametrize("answer", ["ack", "reject", "requeue"])
def test_a_worker_takes_the_next_message_after_an_answer_that_redis_did_not_take(
    redis_and_mongo: Stack, worker: Worker, answer: str
) -> None:
    worker.send("first")
    with worker.consuming():
        first = worker.next()
        with freeze_process(redis_and_mongo), suppress(RedisTimeoutError):  # it does not always wait for Redis
            getattr(first, answer)()
        worker.send("second")

        assert worker.next().payload == "second"


def test_a_message_that_could_not_be_handed_back_comes_again(redis_and_mongo: Stack, worker: Worker) -> None:
    worker.send("first")
    with worker.consuming():
        first = worker.next()
        with freeze_process(redis_and_mongo), pytest.raises(RedisTimeoutError):
            first.requeue()
        again = worker.next()

    assert again.payload == "first"
    assert again.delivery_info["redelivered"]


def test_a_message_is_handed_back_though_redis_had_no_room_to_note_another(
    redis_and_mongo: Stack, worker: Worker, request: pytest.FixtureRequest
) -> None:
    for body in ("first", "second"):
        worker.send(body)
    with worker.consuming(2), Redis.from_url(redis_and_mongo.redis_url) as redis:
        first = worker.next()
        redis.config_set("maxmemory", 1)
        worker.next()
        redis.config_set("maxmemory", 0)

        worker.stop()

        assert not redis.hexists("unacked", first.delivery_tag)
        assert redis.llen(request.node.name) >= 1


@pytest.mark.parametrize("skew_seconds", [SKEW_SECONDS, -SKEW_SECONDS])
def test_a_message_is_delivered_again_after_its_time_by_the_clock_of_redis(
    redis_and_mongo: Stack, worker: Worker, skew_seconds: int
) -> None:
    worker.send("first")
    with worker.consuming(), Redis.from_url(redis_and_mongo.redis_url) as redis:
        first = worker.next()

        restore_elsewhere(redis_and_mongo, skew_seconds, visibility_seconds=SKEW_SECONDS // 2)
        is_held_until_its_time = redis.hexists("unacked", first.delivery_tag)
        wait_until(lambda: _held_seconds(redis, first.delivery_tag) > 1, "the message to be held for too long")
        restore_elsewhere(redis_and_mongo, skew_seconds, visibility_seconds=1)

        assert is_held_until_its_time
        assert not redis.hexists("unacked", first.delivery_tag)


def restore_elsewhere(stack: Stack, skew_seconds: int, *, visibility_seconds: int) -> None:
    """Have a worker of another machine deliver again what is held for too long."""
    command = (sys.executable, "-m", "tests.support.restoring_worker", stack.redis_url, str(visibility_seconds))
    subprocess.run(skew_command(command, seconds=skew_seconds), cwd=ROOT, check=True)


def _held_seconds(redis: Redis, delivery_tag: str) -> float:
    seconds, microseconds = redis.time()
    return seconds + microseconds / 10**6 - (redis.zscore("unacked_index", delivery_tag) or 0)

"""A worker's message that Redis cannot be told of: the worker takes the next, and the message comes again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from kombu import Connection, Queue
from redis.exceptions import TimeoutError as RedisTimeoutError

from deploy.local.stack import Stack
from pipeline.broker.transport import patch_kombu
from tests.integration.api_helpers import wait_until

VISIBILITY_SECONDS = 2
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
    def consuming(self) -> Iterator[None]:
        """Be ready to take messages until the block ends."""
        with self._connection.Consumer(self._queue, on_message=self._got.append, prefetch_count=1):
            yield

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
        with freeze_process(redis_and_mongo), pytest.raises(RedisTimeoutError):
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

"""Messages of Redis in the event loop of a worker: each arrives, and an idle round of the loop registers nothing."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from kombu import Connection, Queue
from kombu.asynchronous import Hub
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from pipeline.broker.transport import patch_kombu
from pipeline.settings import Settings


class LoopingWorker:
    """A consumer whose connection is registered with an event loop of its own."""

    def __init__(self, connection: Connection) -> None:
        self.hub: Any = Hub()
        self.got: list[Any] = []
        self._connection = connection
        queue = Queue("looping", routing_key="looping")
        self._consumer = connection.Consumer(queue, on_message=self._take, prefetch_count=2)
        transport: Any = connection.transport
        transport.register_with_event_loop(connection.connection, self.hub)
        self._consumer.consume()
        self._loop = self.hub.create_loop()

    def send(self, body: str) -> None:
        with self._connection.clone() as other:
            other.Producer().publish(body, routing_key="looping")

    def run_until(self, count: int) -> list[str]:
        """Run the loop until so many messages have come; AssertionError when they do not come."""
        end = monotonic() + 20
        while len(self.got) < count:
            assert monotonic() < end
            self.run_once()
        return [message.payload for message in self.got]

    def run_once(self) -> None:
        try:
            next(self._loop)
        except StopIteration:  # after an error
            self._loop = self.hub.create_loop()

    def _take(self, message: Any) -> None:
        self.got.append(message)
        message.ack()


@pytest.fixture
def worker(settings: Settings, redis: Redis) -> Iterator[LoopingWorker]:  # noqa: ARG001  # it is empty
    patch_kombu()
    with Connection(settings.redis_url) as connection:
        worker = LoopingWorker(connection)
        yield worker
        worker.hub.close()


def test_messages_arrive_in_their_order_and_are_acknowledged(worker: LoopingWorker, redis: Redis) -> None:
    for number in range(5):
        worker.send(str(number))

    assert worker.run_until(5) == ["0", "1", "2", "3", "4"]
    worker.send("last")
    worker.run_until(6)  # what is sent to Redis later is carried out later
    assert redis.zcard("unacked_index") <= 1


def test_a_round_without_a_new_connection_registers_nothing(worker: LoopingWorker) -> None:
    worker.send("first")
    worker.run_until(1)
    registered: list[int] = []

    def register(fd: int, events: int, register: Any = worker.hub.poller.register) -> None:
        registered.append(fd)
        register(fd, events)

    worker.hub.poller.register = register

    worker.send("second")
    worker.run_until(2)

    assert registered == []


def test_a_connection_that_is_lost_is_replaced(worker: LoopingWorker, redis: Redis) -> None:
    worker.send("first")
    worker.run_until(1)
    mine = redis.client_id()
    for client in redis.client_list():
        if int(client["id"]) != mine and client["db"] == "14":
            redis.client_kill_filter(_id=client["id"])

    with pytest.raises(RedisConnectionError):
        worker.run_until(2)
    worker.send("second")

    assert worker.run_until(2) == ["first", "second"]

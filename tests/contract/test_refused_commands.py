"""A Redis that refuses commands: for workers and for the chords that they count, it is one that is down."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest
from kombu import Connection
from redis import Redis
from redis.exceptions import RedisError

from deploy.local.stack import Stack
from pipeline.backend import PipelineBackend
from pipeline.broker.transport import patch_kombu
from pipeline.celery import app

SECONDS = 15
REFUSALS = (
    "MISCONF Errors writing to the AOF file: No space left on device",
    "NOREPLICAS Not enough good replicas to write.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "CLUSTERDOWN The cluster is down",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "BUSY Redis is busy running a script.",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
)


@pytest.fixture(params=REFUSALS, ids=lambda text: text.partition(" ")[0])
def refusal(redis: Redis, request: pytest.FixtureRequest) -> RedisError:
    """The error that redis-py makes of such an answer."""
    with pytest.raises(RedisError) as raised:
        redis.eval("return redis.error_reply(ARGV[1])", 0, request.param)
    return raised.value


def test_a_worker_connects_again_after_a_refusal(redis_and_mongo: Stack, refusal: RedisError) -> None:
    patch_kombu()

    with Connection(redis_and_mongo.redis_url) as connection:
        assert isinstance(refusal, connection.connection_errors)


def test_heartbeats_do_not_wait_for_a_broker_that_is_away(redis_and_mongo: Stack) -> None:
    with Connection(redis_and_mongo.redis_url) as connection:
        events = app.events.Dispatcher(connection)
        events.send("worker-online")
        redis_and_mongo.stop_process("redis")
        try:
            sender = Thread(target=events.send, args=("worker-heartbeat",), kwargs={"retry": True}, daemon=True)
            sender.start()
            sender.join(SECONDS)
            was_waiting = sender.is_alive()
        finally:
            redis_and_mongo.start_process("redis")

    assert not was_waiting
    assert [event["type"] for event, _ in events._outbound_buffer] == ["worker-heartbeat"]


def test_the_part_of_a_chord_is_counted_again_after_a_refusal(redis_and_mongo: Stack, refusal: RedisError) -> None:
    backend: Any = PipelineBackend(app=app, url=redis_and_mongo.redis_url)

    assert backend.exception_safe_to_retry(refusal)

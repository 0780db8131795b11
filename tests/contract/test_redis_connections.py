"""A connection that Redis has closed, on the event loop that the gateway runs on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop
from kombu import Connection, Queue
from kombu.log import get_logger
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from deploy.local.ports import free_port
from deploy.local.stack import Stack
from gateway.middleware.rate_limit import create_limiter
from pipeline.broker.redis_connections import ConnectionErrorWhenClosed
from pipeline.broker.redis_urls import RedisUrl
from pipeline.broker.transport import patch_kombu
from pipeline.settings import Settings


def test_a_write_to_a_closed_connection_is_a_lost_connection(redis_and_mongo: Stack) -> None:
    async def write() -> None:
        redis = RedisUrl(redis_and_mongo.redis_url).open_async(retry=Retry(NoBackoff(), 0))
        pool: Any = redis.connection_pool
        connection = await pool.get_connection()
        connection._writer.transport.abort()
        await asyncio.sleep(0)
        with pytest.raises(RedisConnectionError):
            await connection.send_command("PING")
        await redis.aclose()

    uvloop.run(write())


def test_a_connection_that_was_lost_while_a_worker_waited_is_closed_and_its_messages_come_again(
    settings: Settings, redis: Redis
) -> None:
    patch_kombu()
    connection: Any = Connection(settings.redis_url)
    channel = connection.default_channel
    for _ in range(2):
        connection.Producer(channel).publish({}, routing_key="held", declare=[Queue("held")])
    second = connection.channel()  # closing it fails first
    messages = [each.basic_get("held") for each in (channel, second)]
    channel.basic_consume("empty", no_ack=False, callback=print, consumer_tag="waits")
    connection.transport.cycle._register_BRPOP(channel)
    host, port = channel._in_poll._sock.getsockname()
    connection.port = channel._in_poll.port = free_port()  # Redis is away
    redis.client_kill_filter(addr=f"{host}:{port}")

    connection.collect()
    connection.close()
    for message in messages:
        message.ack_log_error(get_logger(__name__), connection.connection_errors)

    assert sorted(redis.hkeys("unacked")) == sorted(message.delivery_tag.encode() for message in messages)


def test_what_counts_requests_opens_such_connections_too(redis_and_mongo: Stack) -> None:
    storage: Any = create_limiter(redis_and_mongo.redis_url).storage

    assert issubclass(storage.bridge.storage.connection_pool.connection_class, ConnectionErrorWhenClosed)

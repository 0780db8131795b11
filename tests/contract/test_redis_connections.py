"""A connection that Redis has closed, on the event loop that the gateway runs on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from deploy.local.stack import Stack
from gateway.middleware.rate_limit import create_limiter
from pipeline.broker.redis_connections import ConnectionErrorWhenClosed
from pipeline.broker.redis_urls import RedisUrl


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


def test_what_counts_requests_opens_such_connections_too(redis_and_mongo: Stack) -> None:
    storage: Any = create_limiter(redis_and_mongo.redis_url).storage

    assert issubclass(storage.bridge.storage.connection_pool.connection_class, ConnectionErrorWhenClosed)

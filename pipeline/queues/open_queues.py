"""The broker that the settings choose, opened for reading."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.broker.redis_urls import RedisUrl
from pipeline.celery import app
from pipeline.queues.queues import Queues
from pipeline.queues.rabbit_queues import RabbitQueues
from pipeline.queues.redis_queues import RedisQueues
from pipeline.settings import Settings


@asynccontextmanager
async def open_queues(settings: Settings) -> AsyncIterator[Queues]:
    """Open the broker for reading; it connects at first use. RabbitMQ's address comes from the configured app."""
    redis = RedisUrl(settings.redis_url).open_async(
        socket_timeout=settings.broker.publish_timeout,
        socket_connect_timeout=settings.broker.connect_timeout,
        health_check_interval=settings.broker.health_check_interval,
    )
    try:
        if not settings.broker_url:
            yield RedisQueues(redis)
            return
        rabbit = RabbitQueues(redis, app, timeout_seconds=settings.broker.publish_timeout)
        try:
            yield rabbit
        finally:
            await rabbit.close()
    finally:
        await redis.aclose()

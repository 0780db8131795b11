"""The consumer that the settings ask for, with its connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

from gateway.ingest.consumer import Consumer
from gateway.ingest.event_list import EventList
from gateway.ingest.preparation import Preparation
from gateway.permission import Permission
from pipeline.broker.redis_urls import RedisUrl
from pipeline.queues.queues import Queues

CALLER = "events"
"""Whose burst the jobs count for."""


@asynccontextmanager
async def open_consumer(preparation: Preparation, queues: Queues) -> AsyncIterator[Consumer]:
    """Open the consumer of `ingest.redis_list`. It connects at first use."""
    settings, wanted = preparation.settings, preparation.settings.ingest
    permission = Permission(owner=wanted.owner).limit_presets(settings.key_presets.get(wanted.owner or ""))
    prepare = partial(preparation.prepare, permission, preset=wanted.preset, caller=CALLER)
    redis = RedisUrl(wanted.redis_url or settings.redis_url).open_async(
        socket_timeout=settings.broker.publish_timeout,
        socket_connect_timeout=settings.broker.connect_timeout,
        health_check_interval=settings.broker.health_check_interval,
    )
    try:
        events = EventList(redis, wanted.redis_list, holder=uuid4().hex, max_dead=wanted.max_dead)
        yield Consumer(events, queues, settings, preparation.metrics, prepare)
    finally:
        await redis.aclose()

"""The consumer that the settings ask for, with its connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from gateway.ingest.consumer import Consumer
from gateway.ingest.event_list import EventList
from gateway.ingest.ingestion import Ingestion
from gateway.ingest.presets import choose_preset
from gateway.metrics import GatewayMetrics
from gateway.permission import Permission
from gateway.submission.lanes import LaneChooser
from gateway.submission.new_job import JobMaker
from pipeline.broker.redis_urls import RedisUrl
from pipeline.presets.registry import Presets
from pipeline.queues.queues import Queues
from pipeline.settings import Settings
from storage.stores import Stores

CALLER = "events"
"""Whose burst the jobs count for."""


@asynccontextmanager
async def open_consumer(
    settings: Settings,
    *,
    stores: Stores,
    queues: Queues,
    metrics: GatewayMetrics,
    lanes: LaneChooser,
    presets: Presets,
) -> AsyncIterator[Consumer]:
    """Open the consumer of `ingest.redis_list`. It connects at first use."""
    wanted = settings.ingest
    permission = Permission(owner=wanted.owner).limit_presets(settings.key_presets.get(wanted.owner or ""))

    def prepare() -> Ingestion:
        return Ingestion(
            stores=stores,
            settings=settings,
            metrics=metrics,
            lanes=lanes,
            permission=permission,
            preset=choose_preset(presets, permission, wanted.preset),
            maker=JobMaker(settings=settings, permission=permission, has_own_default=presets.has_own_default),
            caller=CALLER,
        )

    redis = RedisUrl(wanted.redis_url or settings.redis_url).open_async(
        socket_timeout=settings.broker.publish_timeout,
        socket_connect_timeout=settings.broker.connect_timeout,
        health_check_interval=settings.broker.health_check_interval,
    )
    try:
        events = EventList(redis, wanted.redis_list, holder=uuid4().hex, max_dead=wanted.max_dead)
        yield Consumer(events, queues, settings, metrics, prepare)
    finally:
        await redis.aclose()

"""What routes ask for, as annotated aliases; the lifespan puts it in place, tests put theirs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from gateway.feed import Feed
from gateway.metrics import GatewayMetrics
from pipeline.queues import Queues
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.jobs import Jobs
from storage.stores import Stores


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _stores(request: Request) -> Stores:
    stores: Stores = request.app.state.stores
    return stores


def _queues(request: Request) -> Queues:
    queues: Queues = request.app.state.queues
    return queues


def _metrics(request: Request) -> GatewayMetrics:
    metrics: GatewayMetrics = request.app.state.metrics
    return metrics


def _feed(request: Request) -> Feed:
    feed: Feed = request.app.state.feed
    return feed


def _owner(request: Request) -> str | None:
    owner: str | None = getattr(request.state, "owner", None)
    return owner


SettingsDep = Annotated[Settings, Depends(_settings)]
StoresDep = Annotated[Stores, Depends(_stores)]
FeedDep = Annotated[Feed, Depends(_feed)]
MetricsDep = Annotated[GatewayMetrics, Depends(_metrics)]
QueuesDep = Annotated[Queues, Depends(_queues)]
OwnerDep = Annotated[str | None, Depends(_owner)]
"""The API key's owner; None where no keys are set."""


def _jobs(stores: StoresDep) -> Jobs:
    return stores.jobs


def _blobs(stores: StoresDep) -> Blobs:
    return stores.blobs


JobsDep = Annotated[Jobs, Depends(_jobs)]
BlobsDep = Annotated[Blobs, Depends(_blobs)]

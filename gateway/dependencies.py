"""The dependencies of the routes, as annotated aliases. The lifespan sets them; tests set their own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from gateway.concurrency_limit import ConcurrencyLimit
from gateway.event_feed.feed import EventFeed
from gateway.feed import Feed
from gateway.metrics import GatewayMetrics
from gateway.middleware.rate_limit import caller_of
from gateway.middleware.root_path import root_path_of
from gateway.permission import Permission, permission_of
from gateway.submission.blob_room import BlobRoom
from gateway.submission.lanes import LaneChooser
from gateway.webhooks.announcer import Announcer
from pipeline.presets.registry import Presets
from pipeline.queues.queues import Queues
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.jobs import Jobs
from storage.stores import Stores


def _from_state(name: str) -> Any:
    """Return a dependency on the attribute of the app's state with this name.

    All dependencies here are coroutines: FastAPI runs any other function in a thread, which costs more than a whole
    small request.
    """

    async def read_state(request: Request) -> Any:
        return getattr(request.app.state, name)

    return Depends(read_state)


async def _root_path(request: Request) -> str:
    return root_path_of(request.scope)


async def _permission(request: Request) -> Permission:
    return permission_of(request.scope)


async def _caller(request: Request) -> str:
    return caller_of(request.scope)


SettingsDep = Annotated[Settings, _from_state("settings")]
StoresDep = Annotated[Stores, _from_state("stores")]
FeedDep = Annotated[Feed, _from_state("feed")]
EventFeedDep = Annotated[EventFeed, _from_state("event_feed")]
MetricsDep = Annotated[GatewayMetrics, _from_state("metrics")]
LaneChooserDep = Annotated[LaneChooser, _from_state("lanes")]
BlobRoomDep = Annotated[BlobRoom, _from_state("blob_room")]
PresetsDep = Annotated[Presets, _from_state("presets")]
QueuesDep = Annotated[Queues, _from_state("queues")]
AnnouncerDep = Annotated[Announcer, _from_state("announcer")]
StreamsDep = Annotated[ConcurrencyLimit, _from_state("streams")]
RootPathDep = Annotated[str, Depends(_root_path)]
"""The path that links begin with; empty, or such as `/api`."""
PermissionDep = Annotated[Permission, Depends(_permission)]
"""What the caller may do."""
CallerDep = Annotated[str, Depends(_caller)]
"""Whom limits count: the owner of the API key, the owner and the address of a token, or the address without keys."""


async def _jobs(stores: StoresDep) -> Jobs:
    return stores.jobs


async def _blobs(stores: StoresDep) -> Blobs:
    return stores.blobs


JobsDep = Annotated[Jobs, Depends(_jobs)]
BlobsDep = Annotated[Blobs, Depends(_blobs)]

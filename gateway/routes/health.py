"""Health: whether the gateway is alive, and whether it is ready to accept uploads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter

from fastapi import Response, status
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from gateway.dependencies import BlobRoomDep, PresetsDep, QueuesDep, SettingsDep, StoresDep
from gateway.openapi.headers import answer_headers
from gateway.problems import RETRY_AFTER_SECONDS, StorageFull
from gateway.routing import Router
from gateway.schemas import Check, Readiness
from gateway.submission.blob_room import DETAIL, BlobRoom
from pipeline.queues.queues import Queues
from pipeline.settings import Settings
from storage.stores import Stores

ERROR_NAMES: dict[type[Exception], str] = {OutOfMemoryError: "full", ReadOnlyError: "read_only", StorageFull: "full"}
"""Names of errors whose type does not say what is wrong; any other error has the name of its type."""

router = Router(tags=["health"])


@router.get("/livez", summary="Check that the gateway is alive", operation_id="check_alive")
async def livez() -> dict[str, str]:
    """Answer while the process runs, even if its dependencies are down."""
    return {"status": "alive"}


@router.get(
    "/readyz",
    summary="Check that the gateway is ready",
    operation_id="check_ready",
    responses={
        503: {
            "description": "Mongo or the blob store does not answer, the presets are not loaded yet, or the gateway is "
            "shutting down",
            "model": Readiness,
            "headers": answer_headers("Retry-After"),
        }
    },
)
async def readyz(
    response: Response,
    settings: SettingsDep,
    stores: StoresDep,
    queues: QueuesDep,
    room: BlobRoomDep,
    presets: PresetsDep,
) -> Readiness:
    """Check each dependency, whether the disk of a local blob store has room for uploads, and the file of presets.

    Mongo and the blob store are needed to accept jobs. While the broker is down or full, jobs are accepted and wait.
    While the disk is full, uploads are refused, but jobs finish and results are served: so the gateway stays in use.
    While the file of presets has mistakes, the presets before it stay in force.
    """
    checks = await check_dependencies(settings, stores, queues)
    if stores.blobs.is_local:
        checks["disk"] = await _run_check(partial(_check_room, room, stores), settings.mongo_timeout)
    if settings.presets:
        checks["presets"] = Check(ok=presets.is_current, ms=0, error=None if presets.is_current else "not_loaded")
    ready = checks["mongo"].ok and checks["blobs"].ok and presets.is_ready
    if not ready:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    overall = "unavailable" if not ready else "ready" if all(check.ok for check in checks.values()) else "degraded"
    return Readiness(status=overall, checks=checks)


async def check_dependencies(settings: Settings, stores: Stores, queues: Queues) -> dict[str, Check]:
    """Check Mongo, the blob store and the broker concurrently, each with its timeout."""
    servers = queues.server_checks()
    checks = await asyncio.gather(
        _run_check(stores.ping, settings.mongo_timeout),
        _run_check(partial(asyncio.to_thread, stores.blobs.check), settings.mongo_timeout),
        *(_run_check(ping, settings.broker.publish_timeout) for ping in servers.values()),
    )
    return dict(zip(("mongo", "blobs", *servers), checks, strict=True))


async def _check_room(room: BlobRoom, stores: Stores) -> None:
    if await room.is_full(stores.blobs):
        raise StorageFull(DETAIL)


async def _run_check(ping: Callable[[], Awaitable[object]], timeout: float) -> Check:  # noqa: ASYNC109  # a setting, not a cancel scope
    start = perf_counter()
    try:
        await asyncio.wait_for(ping(), timeout)
    except Exception as error:  # noqa: BLE001  # any error of a driver means not ready
        return Check(ok=False, ms=_elapsed_ms(start), error=ERROR_NAMES.get(type(error), type(error).__name__))
    return Check(ok=True, ms=_elapsed_ms(start))


def _elapsed_ms(start: float) -> float:
    return round((perf_counter() - start) * 1000, 1)

"""Open and close the stores: the only file that names a driver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from beanie import init_beanie
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import MongoClient

from storage.blobs import Blobs
from storage.documents import Job
from storage.idempotency import IdempotencyKey, IdempotencyKeys
from storage.jobs import Jobs
from storage.ledger import Ledger

COLLECTIONS = (Job.Settings.name, IdempotencyKey.Settings.name)
DURABLE: dict[str, Any] = {"w": "majority", "journal": True, "readPreference": "primary", "tz_aware": True}
"""Of both sides, whatever the URL says: acknowledged once it is in the journal of a majority; read where it is written.
A secondary could tell a worker that the stage before its own is not done."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What the gateway keeps things in."""

    jobs: Jobs
    blobs: Blobs
    idempotency_keys: IdempotencyKeys
    mongo: AsyncIOMotorClient[dict[str, Any]]

    async def ping(self) -> None:
        """Raise when the database does not answer."""
        await self.mongo.admin.command("ping")


@dataclass(frozen=True, slots=True)
class WorkerStores:
    """What a worker's child keeps things in."""

    ledger: Ledger
    blobs: Blobs


def database_name(mongo_url: str) -> str:
    """Return the database named in the URL's path, `darkroom` when it names none."""
    return urlsplit(mongo_url).path.strip("/") or "darkroom"


@asynccontextmanager
async def open_stores(*, mongo_url: str, blob_url: str, timeout_ms: int) -> AsyncIterator[Stores]:
    """Open what the gateway needs, on the running event loop. Raises when no database answers within `timeout_ms`."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongo_url, **_timeouts(timeout_ms), **DURABLE)
    try:
        await init_beanie(client[database_name(mongo_url)], document_models=[Job, IdempotencyKey])
        yield Stores(Jobs(), Blobs.open(blob_url), IdempotencyKeys(), client)
    finally:
        client.close()


@contextmanager
def open_worker_stores(
    *, mongo_url: str, blob_url: str, timeout_ms: int, stall_timeout_ms: int
) -> Iterator[WorkerStores]:
    """Open what a worker's child needs; never in its parent, whose sockets and threads a fork would share."""
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_url, **_timeouts(timeout_ms), **DURABLE)
    try:
        jobs = client[database_name(mongo_url)][Job.Settings.name]
        yield WorkerStores(Ledger(jobs, stall_timeout_ms=stall_timeout_ms), Blobs.open(blob_url))
    finally:
        client.close()


def _timeouts(timeout_ms: int) -> dict[str, Any]:
    return {
        "serverSelectionTimeoutMS": timeout_ms,
        "connectTimeoutMS": timeout_ms,
        "socketTimeoutMS": 2 * timeout_ms,
    }

"""Open and close the stores: the only file that names a driver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic_ns
from typing import Any
from urllib.parse import urlsplit

from beanie import init_beanie
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import MongoClient

from storage.blobs import Blobs
from storage.bulk_actions import COLLECTION as BULK_ACTIONS
from storage.bulk_actions import INDEXES as BULK_INDEXES
from storage.bulk_actions import BulkActions
from storage.clock import DATABASE_CLOCK, MS
from storage.delivery_ledger import DeliveryLedger
from storage.delivery_ledger import Report as ReportUnsendable
from storage.delivery_ledger import report_nothing as report_no_delivery
from storage.delivery_store import Deliveries
from storage.document_reader import Check, JobReader, Report, accept_any, report_nothing
from storage.documents import EPOCH, Job, JobRecord
from storage.driver_threads import let_threads_sleep
from storage.idempotency import IdempotencyKey, IdempotencyKeys
from storage.indexes import create_indexes, create_missing
from storage.jobs import Jobs
from storage.leases import COLLECTION as LEASES
from storage.leases import Lease
from storage.ledger import Ledger
from storage.resumable_uploads import COLLECTION as RESUMABLE_UPLOADS
from storage.resumable_uploads import INDEXES as UPLOAD_INDEXES
from storage.resumable_uploads import ResumableUploads
from storage.tidying import LEASE as TIDIER
from storage.tidying import Tidying
from storage.token_uses import COLLECTION as TOKEN_USES
from storage.token_uses import INDEXES as TOKEN_INDEXES
from storage.token_uses import TokenUses
from storage.webhook_store import Webhooks
from storage.webhooks import DELIVERIES, DELIVERY_INDEXES, ENDPOINT_INDEXES, ENDPOINTS, FIXED_PREFIX

COLLECTIONS = (Job.Settings.name, IdempotencyKey.Settings.name, TOKEN_USES, ENDPOINTS)
"""The collections of a backup.

Unfinished uploads are in none: a client whose upload is gone begins a new one. Neither are bulk actions: one that was
under way must not go on by itself to delete or reprocess the jobs of a restored database. Neither are deliveries: most
of those that were pending have arrived since, and the rest is as old as the backup.
"""
IN_BACKUP: dict[str, dict[str, Any]] = {name: {} for name in COLLECTIONS} | {ENDPOINTS: {"_id": {"$lt": FIXED_PREFIX}}}
"""The query for the documents of each of these collections that are saved and restored, or hinder a restore.

Endpoints of the settings are not: each gateway inserts them when it starts. The ids of others are below theirs.
"""
ANNOUNCER = "announcer"
"""The name of the announcer's lease."""
DURABLE: dict[str, Any] = {"w": "majority", "journal": True, "readPreference": "primary", "tz_aware": True}
"""Options of every client, whatever the URL says: writes are journaled on a majority, reads go to the primary.

A secondary may be behind: a worker could read there that the previous stage is not done.
"""


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores that the gateway uses."""

    jobs: Jobs
    blobs: Blobs
    idempotency_keys: IdempotencyKeys
    tidying: Tidying
    announcing: Lease
    resumable_uploads: ResumableUploads
    token_uses: TokenUses
    bulk_actions: BulkActions
    webhooks: Webhooks
    deliveries: Deliveries
    mongo: AsyncIOMotorClient[dict[str, Any]]

    async def ping(self) -> None:
        """Raise when the database does not answer."""
        await self.mongo.admin.command("ping")

    async def measure_clock(self) -> None:
        """Measure the clock of the database, from which all times are taken. Raises when it does not answer."""
        sent_ns = monotonic_ns()
        _record_time(await self.mongo.admin.command("hello"), sent_ns=sent_ns)


@dataclass(frozen=True, slots=True)
class WorkerStores:
    """The stores that a worker child uses."""

    ledger: Ledger
    deliveries: DeliveryLedger
    blobs: Blobs
    mongo: MongoClient[dict[str, Any]]

    def measure_clock(self) -> None:
        """Measure the clock of the database, from which all times are taken. Raises when it does not answer."""
        sent_ns = monotonic_ns()
        _record_time(self.mongo.admin.command("hello"), sent_ns=sent_ns)


def database_name(mongo_url: str) -> str:
    """Return the database named in the URL's path, or `darkroom` when there is none."""
    return urlsplit(mongo_url).path.strip("/") or "darkroom"


@asynccontextmanager
async def open_stores(
    *,
    mongo_url: str,
    blob_url: str,
    timeout_ms: int,
    check_job: Check = accept_any,
    report_unreadable: Report = report_nothing,
) -> AsyncIterator[Stores]:
    """Open the gateway's stores on the running event loop. Raises when no database answers within `timeout_ms`.

    `check_job` and `report_unreadable` are those of `JobReader`.
    """
    let_threads_sleep()
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongo_url, **_timeouts(timeout_ms), **DURABLE)
    try:
        database = client[database_name(mongo_url)]
        await init_beanie(database, document_models=[Job, IdempotencyKey], skip_indexes=True)
        await create_indexes(Job.get_motor_collection(), Job.Settings.indexes)
        await create_missing(database[TOKEN_USES], TOKEN_INDEXES)
        jobs = Jobs(list_timeout_ms=timeout_ms, reader=JobReader(Job, check=check_job, report=report_unreadable))
        await create_missing(database[RESUMABLE_UPLOADS], UPLOAD_INDEXES)
        await create_missing(database[BULK_ACTIONS], BULK_INDEXES)
        await create_missing(database[ENDPOINTS], ENDPOINT_INDEXES)
        await create_missing(database[DELIVERIES], DELIVERY_INDEXES)
        stores = Stores(
            jobs=jobs,
            blobs=Blobs.open(blob_url),
            idempotency_keys=IdempotencyKeys(),
            tidying=Tidying(Lease(database[LEASES], TIDIER)),
            announcing=Lease(database[LEASES], ANNOUNCER),
            resumable_uploads=ResumableUploads(database[RESUMABLE_UPLOADS]),
            token_uses=TokenUses(database[TOKEN_USES]),
            bulk_actions=BulkActions(database[BULK_ACTIONS]),
            webhooks=Webhooks(database[ENDPOINTS], database[DELIVERIES]),
            deliveries=Deliveries(database[DELIVERIES], database[ENDPOINTS]),
            mongo=client,
        )
        await stores.measure_clock()
        yield stores
    finally:
        client.close()


@contextmanager
def open_worker_stores(
    *,
    mongo_url: str,
    blob_url: str,
    timeout_ms: int,
    stall_timeout_ms: int,
    check_job: Check = accept_any,
    report_unsendable: ReportUnsendable = report_no_delivery,
) -> Iterator[WorkerStores]:
    """Open the stores of a worker child. Never call it in the parent: a fork would share its sockets and threads.

    `check_job` is that of `JobReader`, `report_unsendable` is the `report` of `DeliveryLedger`.
    """
    let_threads_sleep()
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_url, **_timeouts(timeout_ms), **DURABLE)
    try:
        database = client[database_name(mongo_url)]
        reader = JobReader(JobRecord, check=check_job)
        ledger = Ledger(database[Job.Settings.name], stall_timeout_ms=stall_timeout_ms, reader=reader)
        deliveries = DeliveryLedger(database[ENDPOINTS], database[DELIVERIES], report=report_unsendable)
        yield WorkerStores(ledger, deliveries, Blobs.open(blob_url), client)
    finally:
        client.close()


def _record_time(hello: Mapping[str, Any], *, sent_ns: int) -> None:
    """Record the time in an answer to `hello`. Where a server tells none, the wall clock remains."""
    local_time: datetime | None = hello.get("localTime")
    if local_time is not None:
        ms = (local_time.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
        DATABASE_CLOCK.record(ms * MS, resolution_ns=MS, sent_ns=sent_ns)


def _timeouts(timeout_ms: int) -> dict[str, Any]:
    return {"serverSelectionTimeoutMS": timeout_ms, "connectTimeoutMS": timeout_ms, "socketTimeoutMS": 2 * timeout_ms}

"""Bulk actions: what is to be done with many jobs, and how far it has come, so that any gateway goes on with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pymongo import ASCENDING, IndexModel

from storage.clock import now_ms
from storage.documents import AssetReference
from storage.errors import BulkActionNotFound, BulkActionUnreadable
from storage.job_filter import JobFilter

COLLECTION = "bulk_actions"
INDEXES = [
    IndexModel([("state", ASCENDING), ("updated_ms", ASCENDING)], name="running"),
    IndexModel([("owner", ASCENDING), ("state", ASCENDING)], name="owner_state"),
    IndexModel([("finished_ms", ASCENDING)], name="finished"),
]
MAX_FAILURES = 20
"""Failures that a bulk action keeps with their sentences; all are counted."""


class BulkKind(StrEnum):
    """What is done with each job."""

    RETRY = "retry"
    CANCEL = "cancel"
    DELETE = "delete"
    REPROCESS = "reprocess"


class BulkState(StrEnum):
    """State of a bulk action. It only moves forward."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


ACTIVE_STATES = (BulkState.ACCEPTED, BulkState.RUNNING)
_ACTIVE = {"$in": [state.value for state in ACTIVE_STATES]}


class StoredPreset(BaseModel):
    """A preset as it was when the bulk action was accepted: a later change of the file does not touch it."""

    definition: dict[str, Any]
    assets: list[AssetReference] = Field(default_factory=list)


class BulkCounts(BaseModel):
    """How many jobs the bulk action has looked at, by what came of it."""

    matched: int = 0
    """Jobs that match so far: the sum of all others, and of the jobs that are pending."""
    done: int = 0
    """Jobs that the action was carried out on; in a dry run, those that it would be carried out on."""
    skipped: int = 0
    """Jobs that need nothing: they are already as the action would make them."""
    failed: dict[str, int] = Field(default_factory=dict)
    """Jobs that the action is not possible for, by the code of the reason."""


class BulkFailure(BaseModel):
    """A job that the action is not possible for."""

    task_id: str
    code: str
    message: str


class BulkAction(BaseModel):
    """One bulk action."""

    model_config = ConfigDict(populate_by_name=True)

    id: str = Field(alias="_id")
    """A UUIDv7. Jobs with an id above it are not touched: they were submitted later."""
    owner: str | None = None
    """Owner of the API key; None where no API keys are configured: then it is for the jobs of all."""
    action: BulkKind
    preset: str | None = None
    """The preset that jobs are reprocessed with; None: with their own."""
    presets: dict[str, StoredPreset] = Field(default_factory=dict)
    """The presets that it needs, by name."""
    filter: JobFilter | None = None
    """Which jobs it is for; None if it has `task_ids`."""
    task_ids: list[str] = Field(default_factory=list)
    """The jobs that it is for, in the order of their ids; empty if it has a filter."""
    dry_run: bool = False
    """Whether it only counts."""
    state: BulkState = BulkState.ACCEPTED
    total: int | None = None
    """How many jobs it will look at, as counted when it was accepted; None if counting took too long."""
    cursor: str = ""
    """Id of the last job that it has looked at."""
    is_exhausted: bool = False
    """Whether no job follows the cursor."""
    pending: list[str] = Field(default_factory=list)
    """Jobs before the cursor that the action is to be carried out on, and may have been: they are not counted yet."""
    pending_since_ms: int = 0
    """When these became pending (epoch ms): a job that was acted on since then is not acted on again."""
    counts: BulkCounts = Field(default_factory=BulkCounts)
    failures: list[BulkFailure] = Field(default_factory=list)
    """The first `MAX_FAILURES` failures."""
    created_ms: int = Field(default_factory=now_ms)
    updated_ms: int = Field(default_factory=now_ms)
    finished_ms: int | None = None
    holder: str | None = None
    """The runner that holds the action, or held it last."""
    lease_ms: int = 0
    """When the lease of the holder ends (epoch ms); 0 when none holds it."""
    version: int = 0
    """The fencing token: each acquisition and each change by the holder adds 1."""

    @property
    def is_active(self) -> bool:
        """Whether there is still something to do."""
        return self.state in ACTIVE_STATES


@dataclass(frozen=True, slots=True)
class BulkPage:
    """A page of a list, newest first, and the id that the next page is below; None on the last page."""

    actions: list[BulkAction]
    next_before_id: str | None


class BulkActions:
    """Bulk actions. Only their holder changes how far they have come, and only while no other has taken over."""

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]]) -> None:
        self._documents = collection
        self.has_new = asyncio.Event()
        """Set when this process has inserted an action. Whoever carries actions out clears it."""

    async def insert(self, action: BulkAction) -> None:
        """Insert a new bulk action."""
        await self._documents.insert_one(action.model_dump(mode="json", by_alias=True))
        self.has_new.set()

    async def get(self, bulk_id: str, *, owner: str | None) -> BulkAction:
        """Return a bulk action. Raises `BulkActionNotFound`, also for that of another owner; None: any.

        Raises `BulkActionUnreadable` for one of a newer version.
        """
        document = await self._documents.find_one({"_id": bulk_id})
        if document is None or owner not in {None, document.get("owner")}:
            raise BulkActionNotFound(bulk_id)
        return _read(document)

    async def page(self, *, owner: str | None, before_id: str | None, limit: int) -> BulkPage:
        """Return bulk actions with an id below `before_id`, newest first. Unreadable ones are left out."""
        query: dict[str, Any] = {} if owner is None else {"owner": owner}
        if before_id is not None:
            query["_id"] = {"$lt": before_id}
        documents = await self._documents.find(query).sort("_id", -1).limit(limit + 1).to_list(None)
        next_before_id = documents[limit - 1]["_id"] if len(documents) > limit else None
        return BulkPage(_read_all(documents[:limit]), next_before_id)

    async def count_active(self, *, owner: str | None = None, limit: int) -> int:
        """Return how many bulk actions are active, of an owner or of all (None), at most `limit`."""
        query = {"state": _ACTIVE} if owner is None else {"owner": owner, "state": _ACTIVE}
        return len(await self._documents.find(query, {"_id": 1}).limit(limit).to_list(None))

    async def cancel(self, bulk_id: str) -> bool:
        """Cancel an active bulk action; False if it has ended. What its holder is doing now is still counted."""
        now = now_ms()
        changes = {"state": BulkState.CANCELLED.value, "updated_ms": now, "finished_ms": now}
        result = await self._documents.update_one({"_id": bulk_id, "state": _ACTIVE}, {"$set": changes})
        return bool(result.modified_count)

    async def find_free(self, *, limit: int) -> list[BulkAction]:
        """Return active bulk actions that nobody holds, the one that has waited longest first."""
        query = {"state": _ACTIVE, "lease_ms": {"$lt": now_ms()}}
        return _read_all(await self._documents.find(query).sort("updated_ms", 1).limit(limit).to_list(None))

    async def end_long_leases(self, *, longest_ms: int) -> None:
        """End leases of more than `longest_ms`: they are of before the database's clock was set back."""
        too_long = {"state": _ACTIVE, "lease_ms": {"$gt": now_ms() + longest_ms}}
        for found in await self._documents.find(too_long, {"_id": 1}).to_list(None):
            await self._documents.update_one(too_long | found, {"$set": {"lease_ms": 0}})

    async def acquire(self, action: BulkAction, holder: str, *, lease_ms: int) -> BulkAction | None:
        """Take the lease for `lease_ms` milliseconds; None when another has taken it, or the action has ended."""
        now = now_ms()
        changes = {
            "holder": holder,
            "lease_ms": now + lease_ms,
            "updated_ms": now,
            "version": action.version + 1,
        }
        condition = {"_id": action.id, "state": _ACTIVE, "version": action.version}
        result = await self._documents.update_one(condition, {"$set": {"state": BulkState.RUNNING.value, **changes}})
        return action.model_copy(update={"state": BulkState.RUNNING, **changes}) if result.modified_count else None

    async def record(self, action: BulkAction, progress: Mapping[str, Any], *, lease_ms: int) -> BulkAction | None:
        """Record progress, all of it or none, and renew the lease; None when another has taken over.

        `progress` has fields of `BulkAction` that the holder changes. With a `lease_ms` of 0 the lease is given up.
        """
        now = now_ms()
        held = {"lease_ms": now + lease_ms if lease_ms else 0, "updated_ms": now, "version": action.version + 1}
        changed = action.model_copy(update={**progress, **held})
        changes = changed.model_dump(mode="json", include={*progress, *held})
        condition = {"_id": action.id, "holder": action.holder, "version": action.version}
        result = await self._documents.update_one(condition, {"$set": changes})
        return changed if result.modified_count else None

    async def finish(self, action: BulkAction) -> bool:
        """Mark a bulk action done whose progress is recorded; False if it was cancelled meanwhile."""
        now = now_ms()
        changes = {"state": BulkState.DONE.value, "updated_ms": now, "finished_ms": now}
        condition = {"_id": action.id, "state": BulkState.RUNNING.value, "version": action.version}
        return bool((await self._documents.update_one(condition, {"$set": changes})).modified_count)

    async def delete_ended(self, *, before_ms: int, limit: int) -> int:
        """Delete bulk actions that ended before `before_ms` (epoch ms); return how many."""
        query = {"finished_ms": {"$gt": 0, "$lt": before_ms}}
        found = [document["_id"] async for document in self._documents.find(query, {"_id": 1}).limit(limit)]
        if found:
            await self._documents.delete_many({"_id": {"$in": found}})
        return len(found)


def _read(document: dict[str, Any]) -> BulkAction:
    try:
        return BulkAction.model_validate(document)
    except ValidationError as error:
        raise BulkActionUnreadable(str(document.get("_id"))) from error


def _read_all(documents: list[dict[str, Any]]) -> list[BulkAction]:
    actions: list[BulkAction] = []
    for document in documents:
        try:
            actions.append(_read(document))
        except BulkActionUnreadable:
            continue
    return actions

"""Resumable uploads: how far each one has come, so that any gateway takes the next piece of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pymongo import ASCENDING, IndexModel

from storage.clock import now_ms
from storage.documents import blob_key
from storage.errors import UploadNotFound, UploadUnreadable

COLLECTION = "resumable_uploads"
INDEXES = [
    IndexModel([("caller", ASCENDING), ("state", ASCENDING)], name="unfinished"),
    IndexModel([("state", ASCENDING), ("expires_ms", ASCENDING)], name="expiring"),
]


class UploadState(StrEnum):
    """State of a resumable upload. Only an open one changes; a complete one may be removed, and its job stays."""

    OPEN = "open"
    COMPLETE = "complete"
    REFUSED = "refused"
    REMOVED = "removed"
    EXPIRED = "expired"


ENDED_STATES = tuple(state for state in UploadState if state is not UploadState.OPEN)


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of an upload, in a blob of their own."""

    start: int
    """Where the bytes begin in the file."""
    bytes: int
    """How many they are."""
    name: str
    """Name of the blob in the upload's folder."""

    @property
    def end(self) -> int:
        """Where the next part begins."""
        return self.start + self.bytes


class StoredPart(BaseModel):
    """A part as it is stored, under the place where it begins."""

    name: str
    bytes: int


def parts_by_start(parts: Collection[Part]) -> dict[str, StoredPart]:
    """Return parts as a document stores them."""
    return {str(part.start): StoredPart(name=part.name, bytes=part.bytes) for part in parts}


class ResumableUpload(BaseModel):
    """One upload, from its creation to the job that is made of it."""

    model_config = ConfigDict(populate_by_name=True)

    id: str = Field(alias="_id")
    """A UUIDv7. The job has the same id."""
    state: UploadState = UploadState.OPEN
    """Open until the upload ends."""
    owner: str | None = None
    """Owner of the API key or of the token; None where no API keys are configured. Never changes."""
    token_id: str | None = None
    """Id (`jti`) of the upload token; None for an API key. Never changes."""
    caller: str
    """Whose share of unfinished uploads this one is in. Never changes."""
    length: int
    """Size of the file in bytes. Never changes."""
    offset: int = 0
    """Number of bytes that are stored. It is `length` only once the job exists."""
    parts: dict[str, StoredPart] = Field(default_factory=dict)
    """The stored bytes, by where each part begins."""
    metadata: str | None = None
    """The header Upload-Metadata as it was sent: the form's fields and the file's name. Never changes."""
    created_ms: int = Field(default_factory=now_ms)
    """When the upload was created (epoch ms). Never changes."""
    expires_ms: int
    """When an open upload expires, if no more of it comes (epoch ms). One that has ended is forgotten later."""
    inserting_until_ms: int = 0
    """Until when a gateway may be inserting the job (epoch ms); 0 if none has tried. Nobody removes the bytes then."""

    @property
    def sorted_parts(self) -> list[Part]:
        """The parts in the order of their bytes."""
        return sorted(
            (Part(int(start), part.bytes, part.name) for start, part in self.parts.items()), key=lambda part: part.start
        )

    def with_parts(self, parts: Sequence[Part], *, expires_ms: int) -> ResumableUpload:
        """Return the upload with parts that follow its own."""
        changes = {"offset": parts[-1].end, "parts": self.parts | parts_by_start(parts), "expires_ms": expires_ms}
        return self.model_copy(update=changes)

    def with_merged(self, parts: Sequence[Part], merged: Part) -> ResumableUpload:
        """Return the upload with one part in the place of several."""
        gone = {str(part.start) for part in parts}
        rest = {start: part for start, part in self.parts.items() if start not in gone}
        return self.model_copy(update={"parts": rest | parts_by_start([merged])})

    def key_of(self, part: Part) -> str:
        """Return the key of a part's blob."""
        return blob_key(self.id, part.name)


class ResumableUploads:
    """Resumable uploads, changed by compare-and-set: of two requests that send the same bytes, one succeeds."""

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]]) -> None:
        self._documents = collection

    async def insert(self, upload: ResumableUpload) -> None:
        """Insert a new upload."""
        await self._documents.insert_one(upload.model_dump(mode="json", by_alias=True))

    async def get(self, upload_id: str, *, owner: str | None = None, token_id: str | None = None) -> ResumableUpload:
        """Return an upload. Raises `UploadNotFound`, also for that of another owner or token; None: any.

        Raises `UploadUnreadable` for one of a newer version.
        """
        wanted = {name: value for name, value in (("owner", owner), ("token_id", token_id)) if value is not None}
        document = await self._documents.find_one({"_id": upload_id})
        if document is None or any(document.get(name) != value for name, value in wanted.items()):
            raise UploadNotFound(upload_id)
        return _read(document)

    async def append(self, upload: ResumableUpload, parts: Sequence[Part], *, expires_ms: int) -> bool:
        """Record parts that follow what is stored; False if other bytes were stored there first, or it has ended."""
        changes: dict[str, Any] = {f"parts.{part.start}": {"name": part.name, "bytes": part.bytes} for part in parts}
        changes |= {"offset": parts[-1].end, "expires_ms": expires_ms}
        return await self._update({"_id": upload.id, "state": _OPEN, "offset": upload.offset}, changes)

    async def replace_parts(self, upload: ResumableUpload, parts: Sequence[Part], merged: Part) -> bool:
        """Record that one part has taken the place of several; False if another request has replaced some of them."""
        first, *others = parts
        condition = {"_id": upload.id, "state": _OPEN} | {f"parts.{part.start}.name": part.name for part in parts}
        update = {
            "$set": {f"parts.{first.start}": {"name": merged.name, "bytes": merged.bytes}},
            "$unset": {f"parts.{part.start}": "" for part in others},
        }
        return bool((await self._documents.update_one(condition, update)).modified_count)

    async def begin_insert(self, upload: ResumableUpload, *, lease_ms: int) -> bool:
        """Keep the upload from being removed for so long, as its job is about to be inserted; False if it changed."""
        condition = {"_id": upload.id, "state": _OPEN, "offset": upload.offset}
        return await self._update(condition, {"inserting_until_ms": now_ms() + lease_ms})

    async def complete(self, upload: ResumableUpload, *, expires_ms: int) -> None:
        """Record that the job exists. The parts are no longer needed. One that its client has removed stays so."""
        changes = {"state": UploadState.COMPLETE.value, "offset": upload.length, "parts": {}, "expires_ms": expires_ms}
        await self._update({"_id": upload.id, "state": {"$ne": UploadState.REMOVED.value}}, changes)

    async def remove_complete(self, upload: ResumableUpload) -> None:
        """End an upload whose job exists, and stays. It may not have been recorded yet that it does."""
        await self._update({"_id": upload.id}, {"state": UploadState.REMOVED.value, "parts": {}})

    async def end(self, upload: ResumableUpload, state: UploadState, *, expired: bool = False) -> bool:
        """End an open upload without a job. False if it has ended already, or a gateway may be inserting the job.

        With `expired`, also False if more of it has come meanwhile.
        """
        now = now_ms()
        condition = {"_id": upload.id, "state": _OPEN, "inserting_until_ms": {"$lt": now}}
        if expired:
            condition["expires_ms"] = {"$lt": now}
        return await self._update(condition, {"state": state.value, "parts": {}})

    async def count_unfinished(self, caller: str, *, limit: int) -> int:
        """Return how many open uploads a caller has, at most `limit`."""
        found = self._documents.find({"caller": caller, "state": _OPEN}, {"_id": 1}).limit(limit)
        return len(await found.to_list(None))

    async def find_expired(self, *, limit: int) -> list[ResumableUpload]:
        """Return open uploads that have expired. Unreadable ones are left out."""
        documents = self._documents.find({"state": _OPEN, "expires_ms": {"$lt": now_ms()}}).sort("expires_ms", 1)
        uploads = [_read_or_skip(document) for document in await documents.limit(limit).to_list(None)]
        return [upload for upload in uploads if upload is not None]

    async def find_not_open(self, upload_ids: list[str]) -> list[str]:
        """Return the ids under which no upload is open."""
        query = {"_id": {"$in": upload_ids}, "state": _OPEN}
        found = {document["_id"] async for document in self._documents.find(query, {"_id": 1})}
        return sorted(set(upload_ids) - found)

    async def delete_ended(self, *, before_ms: int, limit: int) -> int:
        """Forget uploads that have ended and whose `expires_ms` is before `before_ms`; return how many."""
        query = {"state": {"$in": [state.value for state in ENDED_STATES]}, "expires_ms": {"$lt": before_ms}}
        found = [document["_id"] async for document in self._documents.find(query, {"_id": 1}).limit(limit)]
        if found:
            await self._documents.delete_many({"_id": {"$in": found}})
        return len(found)

    async def _update(self, condition: dict[str, Any], changes: dict[str, Any]) -> bool:
        return bool((await self._documents.update_one(condition, {"$set": changes})).matched_count)


_OPEN = UploadState.OPEN.value


def _read(document: dict[str, Any]) -> ResumableUpload:
    try:
        return ResumableUpload.model_validate(document)
    except ValidationError as error:
        raise UploadUnreadable(str(document.get("_id"))) from error


def _read_or_skip(document: dict[str, Any]) -> ResumableUpload | None:
    try:
        return _read(document)
    except UploadUnreadable:
        return None

"""Read a backup into empty stores, or only check it. Documents appear after the whole backup was read and is good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, Protocol
from uuid import uuid4

from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from deploy.backup.archive import ArchiveReader, FolderReader
from deploy.backup.errors import BackupError, NotEmpty, TakenOver
from deploy.backup.members import Member
from deploy.backup.save import RAW, open_database
from pipeline.settings import Settings
from storage.blobs import SINGLE_PUT_MAX_BYTES, Blobs
from storage.documents import ASSETS_FOLDER
from storage.stores import COLLECTIONS, IN_BACKUP

BATCH = 500
MARKER = "restoring"
"""A collection that exists while a restore runs, and says which one.

`restoring_jobs` and the like hold the documents until its end."""

Backup = ArchiveReader | FolderReader


class Sink(Protocol):
    """Where what is read goes."""

    def add_documents(self, collection: str, documents: Iterator[bytes]) -> int:
        """Take documents; return how many."""

    def add_blob(self, blob: Member) -> None:
        """Take a blob."""


class Nowhere:
    """Reads everything, keeps nothing."""

    def add_documents(self, collection: str, documents: Iterator[bytes]) -> int:  # noqa: ARG002
        """Count them."""
        return sum(1 for _ in documents)

    def add_blob(self, blob: Member) -> None:
        """Read it."""
        for _ in blob.chunks():
            pass


class Stores:
    """Stores that were empty. Documents wait in collections of their own until `publish`."""

    def __init__(self, database: Database[dict[str, Any]], blobs: Blobs, blob_url: str) -> None:
        self._database, self._blobs = database, blobs
        self._mine = {"_id": "restore", "run": uuid4().hex, "blob_url": blob_url}
        self._had_assets = bool(blobs.list_names(ASSETS_FOLDER))

    def prepare(self) -> None:
        """Raise `NotEmpty` if there are jobs or blobs. What an interrupted restore has left is removed first."""
        marker = self._database[MARKER]
        left = marker.find_one()
        if left and left.get("blob_url") == self._mine["blob_url"] and all(map(self._is_restored, COLLECTIONS)):
            marker.replace_one({"_id": left["_id"]}, self._mine)
            self._clear()
            return
        if any(self._database[name].find_one(query) for name, query in IN_BACKUP.items()):
            raise NotEmpty("The database is not empty: restore into an empty one.")
        if any(True for _ in self._folders()):
            raise NotEmpty("The blob store is not empty: restore into an empty one.")
        self._clear()
        marker.replace_one({"_id": self._mine["_id"]}, self._mine, upsert=True)

    def add_documents(self, collection: str, documents: Iterator[bytes]) -> int:
        """Insert them where nothing looks for them."""
        self.check_mine()
        return self._insert(f"{MARKER}_{collection}", (RawBSONDocument(each) for each in documents))

    def add_blob(self, blob: Member) -> None:
        """Write it."""
        if blob.size > SINGLE_PUT_MAX_BYTES:
            self._blobs.put_chunks(blob.key, blob.chunks(), attributes=blob.attributes)
        else:
            self._blobs.put(blob.key, b"".join(blob.chunks()), attributes=blob.attributes)

    def publish(self) -> None:
        """Copy the documents to where everything looks for them; jobs last, since with them it is a Darkroom again."""
        self.check_mine()
        for name in reversed(COLLECTIONS):
            source = self._database.get_collection(f"{MARKER}_{name}", codec_options=RAW)
            self._insert(name, source.find())
        marker = self._database.get_collection(MARKER, write_concern=WriteConcern(w="majority", j=True))
        if not marker.delete_one(self._mine).deleted_count:  # waits until everything before it is on the disk
            raise TakenOver
        self._drop()
        self._database.drop_collection(MARKER)

    def check_mine(self) -> None:
        """Raise `TakenOver` if another restore has removed what this one restored."""
        if not self._database[MARKER].find_one(self._mine):
            raise TakenOver

    def discard(self) -> None:
        """Remove what was restored so far, to stores that were empty."""
        self._clear()
        self._database.drop_collection(MARKER)

    def _clear(self) -> None:
        for name, query in IN_BACKUP.items():
            self._database[name].delete_many(query)
        for folder in self._folders():
            self._blobs.remove_folder(folder)
        self._drop()

    def _folders(self) -> Iterator[str]:
        """Yield the folders but that of assets which were here before: a gateway stores the images of its presets."""
        kept = {ASSETS_FOLDER} if self._had_assets else set()
        return (name for name in chain.from_iterable(self._blobs.read_folder_pages()) if name not in kept)

    def _is_restored(self, collection: str) -> bool:
        """Whether a restore that was killed while it published has put every document there that is there now."""
        waiting = self._database[f"{MARKER}_{collection}"]
        ids = (document["_id"] for document in self._database[collection].find(IN_BACKUP[collection], {"_id": 1}))
        while batch := list(islice(ids, BATCH)):
            if len(list(waiting.find({"_id": {"$in": batch}}, {"_id": 1}))) < len(batch):
                return False
        return True

    def _insert(self, collection: str, documents: Any) -> int:
        target = self._database.get_collection(collection, codec_options=RAW)
        remaining, count = iter(documents), 0
        while batch := list(islice(remaining, BATCH)):
            target.insert_many(batch)
            count += len(batch)
        return count

    def _drop(self) -> None:
        for name in COLLECTIONS:
            self._database.drop_collection(f"{MARKER}_{name}")


def restore(settings: Settings, backup: Backup) -> dict[str, int]:
    """Restore everything; return how many of each. Raises `NotEmpty` if there are jobs or blobs.

    Raises `BackupError` for a backup that is damaged or ends early; then nothing of it is left.
    """
    with open_database(settings) as database:
        stores = Stores(database, Blobs.open(settings.blob_url), settings.blob_url)
        stores.prepare()
        with _discard_on_error(stores):
            counts = _read(backup, stores)
            stores.publish()
    return counts


def verify(backup: Backup) -> dict[str, int]:
    """Read a backup without restoring it; return how many of each. Raises `BackupError` as `restore` does."""
    return _read(backup, Nowhere())


@contextmanager
def _discard_on_error(stores: Stores) -> Iterator[None]:
    try:
        yield
    except TakenOver:
        raise
    except BaseException:
        stores.check_mine()
        stores.discard()
        raise


def _read(backup: Backup, sink: Sink) -> dict[str, int]:
    counts = dict.fromkeys((*COLLECTIONS, "blobs"), 0)
    for member in backup:
        collection = member.collection
        if collection is None:
            sink.add_blob(member)
            counts["blobs"] += 1
        else:
            counts[collection] += sink.add_documents(collection, member.documents())
    none = dict.fromkeys(counts, 0)  # an earlier version did not know all of the collections
    if backup.manifest is not None and none | dict(backup.manifest.counts) != counts:
        raise BackupError("The backup is damaged: it holds other numbers of documents or blobs than it says.")
    return counts

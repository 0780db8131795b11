"""Write an archive of the documents and the blobs that they name, while everything runs. Memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, timeout
from pymongo.database import Database
from pymongo.errors import AutoReconnect, NetworkTimeout, ServerSelectionTimeoutError

from deploy.backup.archive import ArchiveWriter, Writable
from deploy.backup.errors import BackupError
from deploy.backup.members import BLOBS, DOCUMENTS, FORMAT, Manifest
from pipeline.settings import Settings
from pipeline.version import VERSION
from storage.blobs import Blobs
from storage.stores import COLLECTIONS, IN_BACKUP, database_name

PART_BYTES = 4 * 1024 * 1024
ANSWER_SECONDS = 5.0
SOCKET_TIMEOUT_MS = 60_000
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
"""Documents are copied as they are, whatever types they hold."""


def save(settings: Settings, stream: Writable) -> dict[str, int]:
    """Write all documents and blobs; return how many of each.

    Documents are saved first: a blob is written before its document, so the blob of every saved document exists. Jobs
    that arrive meanwhile leave at most blobs without a document, which the tidier removes.
    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    archive = ArchiveWriter(stream)
    counts = {}
    with open_database(settings) as database:
        for name in COLLECTIONS:
            counts[name] = _save_documents(database, name, archive)
    counts["blobs"] = _save_blobs(Blobs.open(settings.blob_url), archive)
    digest = archive.digest
    archive.finish(Manifest(FORMAT, VERSION, created, counts, digest.bytes, digest.hexdigest()))
    return counts


@contextmanager
def open_database(settings: Settings) -> Iterator[Database[dict[str, Any]]]:
    """Yield the database. Raises `BackupError` if its server does not answer."""
    options: dict[str, Any] = {"socketTimeoutMS": SOCKET_TIMEOUT_MS, "readPreference": "primary", "tz_aware": True}
    client: MongoClient[dict[str, Any]]
    with MongoClient(settings.mongo_url, **options) as client:
        try:
            with timeout(ANSWER_SECONDS):
                client.admin.command("ping")
        except (ServerSelectionTimeoutError, NetworkTimeout, AutoReconnect):
            servers = urlsplit(settings.mongo_url).netloc.rpartition("@")[2]
            raise BackupError(f"MongoDB at {servers} did not answer within {ANSWER_SECONDS:.0f} s.") from None
        yield client[database_name(settings.mongo_url)]


def _save_documents(database: Database[dict[str, Any]], collection: str, archive: ArchiveWriter) -> int:
    count = number = 0
    part = bytearray()

    def flush() -> None:
        nonlocal number
        archive.add(f"{DOCUMENTS}/{collection}/{number:06}.bson", BytesIO(part), len(part))
        part.clear()
        number += 1

    documents: Any = database.get_collection(collection, codec_options=RAW).find(IN_BACKUP[collection])
    for document in documents:
        part += document.raw
        count += 1
        if len(part) >= PART_BYTES:
            flush()
    if part:
        flush()
    return count


def _save_blobs(blobs: Blobs, archive: ArchiveWriter) -> int:
    count = 0
    for folder in chain.from_iterable(blobs.read_folder_pages()):
        for name in blobs.list_names(folder):
            try:
                with blobs.open_copy(f"{folder}/{name}") as copy:
                    archive.add(f"{BLOBS}/{folder}/{name}", copy.content, copy.size, copy.attributes)
            except FileNotFoundError:  # removed with its job since the listing
                continue
            count += 1
    return count

"""Back up and restore what is true: the documents, then the blobs they name. Redis holds nothing that is needed.

    python -m deploy.backup save FOLDER       while everything runs
    python -m deploy.backup restore FOLDER    into an empty database and an empty blob store, before anything runs

Documents first: a blob is written before its document, so every document saved has its blob there to be copied. Jobs
that come in meanwhile leave at most blobs without a document, which the sweeper removes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bson import decode_file_iter, encode
from pymongo import MongoClient
from pymongo.database import Database

from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.stores import COLLECTIONS, database_name

BATCH = 500


class NotEmpty(Exception):
    """Restoring would mix two histories."""


def save(settings: Settings, folder: Path) -> dict[str, int]:
    """Write all documents and blobs below `folder`, which is made; return how many of each."""
    (folder / "documents").mkdir(parents=True)
    counts = {}
    with _database(settings) as database:
        for name in COLLECTIONS:
            with (folder / "documents" / f"{name}.bson").open("wb") as file:
                counts[name] = sum(1 for document in database[name].find() if file.write(encode(document)))
    counts["blobs"] = _copy(Blobs.open(settings.blob_url), Blobs.open((folder / "blobs").absolute().as_uri()))
    return counts


def restore(settings: Settings, folder: Path) -> dict[str, int]:
    """Put everything back, blobs first; return how many of each. Raises `NotEmpty` where there are jobs or blobs."""
    blobs = Blobs.open(settings.blob_url)
    with _database(settings) as database:
        if blobs.folders() or any(database[name].find_one() for name in COLLECTIONS):
            raise NotEmpty("The database or the blob store is not empty: restore into empty ones.")
        counts = {"blobs": _copy(Blobs.open((folder / "blobs").absolute().as_uri()), blobs)}
        for name in COLLECTIONS:
            with (folder / "documents" / f"{name}.bson").open("rb") as file:
                documents = list(decode_file_iter(file))
            for start in range(0, len(documents), BATCH):
                database[name].insert_many(documents[start : start + BATCH])
            counts[name] = len(documents)
    return counts


def main(arguments: list[str]) -> int:
    """Run from the command line, on the servers that the environment names."""
    parser = argparse.ArgumentParser(prog="./run backup", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("action", choices=["save", "restore"])
    parser.add_argument("folder", type=Path)
    chosen = parser.parse_args(arguments)
    try:
        counts = (save if chosen.action == "save" else restore)(Settings(), chosen.folder)
    except (NotEmpty, FileExistsError, FileNotFoundError) as error:
        print(f"backup: {error}", file=sys.stderr)
        return 1
    print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))
    return 0


@contextmanager
def _database(settings: Settings) -> Iterator[Database[dict[str, Any]]]:
    client: MongoClient[dict[str, Any]]
    with MongoClient(settings.mongo_url, tz_aware=True) as client:
        yield client[database_name(settings.mongo_url)]


def _copy(source: Blobs, target: Blobs) -> int:
    copied = 0
    for folder in source.folders():
        for name in source.names(folder):
            try:
                content = source.get(f"{folder}/{name}")
            except FileNotFoundError:  # removed meanwhile, with its job
                continue
            target.put(f"{folder}/{name}", content)
            copied += 1
    return copied


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

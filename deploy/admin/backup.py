"""Back up and restore the documents and the blobs that they name. Redis holds nothing that a restore needs.

    ./run backup save FOLDER       while everything runs
    ./run backup restore FOLDER    into an empty database and an empty blob store, before anything runs

DARKROOM_MONGO_URL and DARKROOM_BLOB_URL name the servers. If one is not set, the one of the `./run up` on DARKROOM_HOME
is used: `save` needs it running, `restore` needs it stopped.

Documents are saved first: a blob is written before its document, so the blob of every saved document exists. Jobs that
arrive meanwhile leave at most blobs without a document, which the tidier removes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bson import decode_file_iter, encode
from bson.errors import BSONError
from dotenv import load_dotenv
from obstore.exceptions import BaseError
from pydantic import ValidationError
from pymongo import MongoClient, timeout
from pymongo.database import Database
from pymongo.errors import AutoReconnect, NetworkTimeout, PyMongoError, ServerSelectionTimeoutError

from deploy.local.home import ROOT, find_home, has_running_stack, read_stores
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.stores import COLLECTIONS, database_name

BATCH = 500
ANSWER_SECONDS = 5.0


class NotEmpty(Exception):
    """The target of a restore has jobs or blobs already."""


class BackupError(Exception):
    """Saving or restoring is not possible; the message says why in one line."""


def save(settings: Settings, folder: Path) -> dict[str, int]:
    """Write all documents and blobs into a new folder; return how many of each."""
    counts = {}
    with _database(settings) as database:
        (folder / "documents").mkdir(parents=True)
        for name in COLLECTIONS:
            with (folder / "documents" / f"{name}.bson").open("wb") as file:
                counts[name] = sum(1 for document in database[name].find() if file.write(encode(document)))
    counts["blobs"] = _copy(Blobs.open(settings.blob_url), Blobs.open((folder / "blobs").absolute().as_uri()))
    return counts


def restore(settings: Settings, folder: Path) -> dict[str, int]:
    """Restore everything, blobs first; return how many of each. Raises `NotEmpty` if there are jobs or blobs.

    Raises `BackupError` if the folder has links: a link could pass off any file of this machine as a result.
    """
    if link := next((path for path in folder.rglob("*") if path.is_symlink()), None):
        raise BackupError(f"{link} is a link: a backup has none.")
    blobs = Blobs.open(settings.blob_url)
    with _database(settings) as database:
        if next(blobs.read_folder_pages(), None) or any(database[name].find_one() for name in COLLECTIONS):
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
    """Run from the command line, on the servers that the environment names or on those of `./run up`."""
    parser = argparse.ArgumentParser(prog="./run backup", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("action", choices=["save", "restore"])
    parser.add_argument("folder", type=Path)
    chosen = parser.parse_args(arguments)
    load_dotenv(ROOT / ".env")
    try:
        if chosen.action == "save":
            counts = save(_add_running_stores(Settings()), chosen.folder)
        else:
            _check_backup(chosen.folder)
            with _run_stopped_stores(Settings()) as settings:
                counts = restore(settings, chosen.folder)
    except (NotEmpty, BackupError, BSONError, PyMongoError, BaseError) as error:
        return _fail(str(error))
    except ValidationError as error:
        return _fail("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()))
    except FileExistsError as error:
        return _fail(f"{error.filename} exists already: name a new folder.")
    except OSError as error:
        return _fail(": ".join(filter(None, (error.filename, error.strerror))) or str(error))
    print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))
    return 0


def _check_backup(folder: Path) -> None:
    if not (folder / "documents").is_dir():
        raise BackupError(f"{folder} holds no backup.")


def _fail(reason: str) -> int:
    print(f"backup: {reason}", file=sys.stderr)
    return 1


def _add_running_stores(settings: Settings) -> Settings:
    """Return the settings, with the stores of the running `./run up` for those that are not set."""
    home = find_home()
    if has_running_stack(home):
        return _fill_unset(settings, read_stores(home))
    if "mongo_url" not in settings.model_fields_set:
        raise BackupError(f"No `./run up` runs on {home}, and DARKROOM_MONGO_URL names no server.")
    return settings


@contextmanager
def _run_stopped_stores(settings: Settings) -> Iterator[Settings]:
    """Yield the settings. If they set no MongoDB, start the servers of the data folder and use its stores."""
    if "mongo_url" in settings.model_fields_set:
        yield settings
        return
    if has_running_stack(find_home()):
        raise BackupError(f"A `./run up` runs on {find_home()}: stop it first.")
    from deploy.local.stack import Stack  # noqa: PLC0415
    from deploy.local.supervisord_control import StackError  # noqa: PLC0415  # their dependencies are not in the images

    try:
        with Stack(find_home(), gateway=False, workers=False) as stack:
            yield _fill_unset(settings, {"mongo_url": stack.mongo_url, "blob_url": stack.blob_folder.as_uri()})
    except StackError as error:
        raise BackupError(str(error)) from error


def _fill_unset(settings: Settings, stores: dict[str, str]) -> Settings:
    unset = {name: url for name, url in stores.items() if name not in settings.model_fields_set}
    return settings.model_copy(update=unset)


@contextmanager
def _database(settings: Settings) -> Iterator[Database[dict[str, Any]]]:
    """Yield the database. BackupError if its server does not answer."""
    client: MongoClient[dict[str, Any]]
    with MongoClient(settings.mongo_url, tz_aware=True) as client:
        try:
            with timeout(ANSWER_SECONDS):
                client.admin.command("ping")
        except (ServerSelectionTimeoutError, NetworkTimeout, AutoReconnect):
            servers = urlsplit(settings.mongo_url).netloc.rpartition("@")[2]
            raise BackupError(f"MongoDB at {servers} did not answer within {ANSWER_SECONDS:.0f} s.") from None
        yield client[database_name(settings.mongo_url)]


def _copy(source: Blobs, target: Blobs) -> int:
    copied = 0
    for folder in chain.from_iterable(source.read_folder_pages()):
        for name in source.list_names(folder):
            try:
                content = source.get(f"{folder}/{name}")
            except FileNotFoundError:  # removed with its job since the listing
                continue
            target.put(f"{folder}/{name}", content)
            copied += 1
    return copied


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

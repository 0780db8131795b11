"""Back up and restore the documents and the blobs that they name. Redis holds nothing that a restore needs.

    ./run backup save FILE       while everything runs
    ./run backup verify FILE     read a backup without restoring it
    ./run backup restore FILE    into an empty database and an empty blob store, before anything runs

Without FILE, `save` writes to stdout, and the others read stdin. In containers:

    docker compose run --rm -T backup save > darkroom.tar
    docker compose run --rm -T backup restore < darkroom.tar

DARKROOM_MONGO_URL and DARKROOM_BLOB_URL name the servers. If one is not set, the one of the `./run up` on DARKROOM_HOME
is used: `save` needs it running, `restore` needs it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bson.errors import BSONError
from dotenv import load_dotenv
from obstore.exceptions import BaseError
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from deploy.backup.archive import ArchiveReader, FolderReader
from deploy.backup.errors import BackupError
from deploy.backup.restore import Backup, restore, verify
from deploy.backup.running import add_running_stores, run_stopped_stores
from deploy.backup.save import save
from deploy.backup.targets import FolderTarget
from deploy.local.home import ROOT
from pipeline.settings import Settings

Counts = dict[str, int]


def main(arguments: list[str]) -> int:
    """Run from the command line, on the servers that the environment names or on those of `./run up`."""
    parser = argparse.ArgumentParser(
        prog="./run backup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["save", "verify", "restore"])
    parser.add_argument("file", type=Path, nargs="?")
    chosen = parser.parse_args(arguments)
    stream = sys.stdout if chosen.action == "save" else sys.stdin
    if chosen.file is None and stream.isatty():
        parser.error(f"{chosen.action} needs a file, or redirect it: save > darkroom.tar, restore < darkroom.tar")
    load_dotenv(ROOT / ".env")
    try:
        counts = _act(chosen.action, chosen.file)
    except (BackupError, BSONError, PyMongoError, BaseError) as error:
        return _fail(str(error))
    except ValidationError as error:
        return _fail("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()))
    except OSError as error:
        return _fail(": ".join(filter(None, (error.filename, error.strerror))) or str(error))
    text = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    print(text, file=sys.stderr if chosen.action == "save" and chosen.file is None else sys.stdout)
    return 0


def _act(action: str, path: Path | None) -> Counts:
    if action == "save":
        settings = add_running_stores(Settings())
        if path is None:
            counts = save(settings, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return counts
        return _save_file(settings, path)
    with _open_backup(path) as backup:
        if action == "verify":
            return verify(backup)
        with run_stopped_stores(Settings()) as settings:
            return restore(settings, backup)


def _save_file(settings: Settings, path: Path) -> Counts:
    if path.exists():
        raise BackupError(f"{path} exists already: name a new file.")
    with FolderTarget(path.absolute().parent).write(path.name) as stream:
        return save(settings, stream)


@contextmanager
def _open_backup(path: Path | None) -> Iterator[Backup]:
    if path is not None and path.is_dir():
        yield FolderReader(path)
        return
    with _open(path) as stream:
        yield ArchiveReader(stream)


@contextmanager
def _open(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdin.buffer
        return
    with path.open("rb") as stream:
        yield stream


def _fail(reason: str) -> int:
    print(f"backup: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Back up and restore the documents and the blobs that they name. Redis holds nothing that a restore needs.

    ./run backup save FILE       while everything runs
    ./run backup verify FILE     read a backup without restoring it
    ./run backup restore FILE    into an empty database and an empty blob store, before anything runs

Without FILE, `save` writes to stdout, and the others read stdin. In containers:

    docker compose run --rm -T backup save > darkroom.tar
    docker compose run --rm -T backup restore < darkroom.tar

Backups that are kept in DARKROOM_BACKUP__TARGET, a folder or a bucket; `verify` and `restore` read these, too:

    ./run backup run             make one now, then remove those that have had their time
    ./run backup schedule        make one whenever DARKROOM_BACKUP__SCHEDULE says so, until stopped
    ./run backup list            show what there is
    ./run backup restore latest  or by a name that `list` shows; --from URL reads another target

DARKROOM_MONGO_URL and DARKROOM_BLOB_URL name the servers. If one is not set, the one of the `./run up` on DARKROOM_HOME
is used: a backup needs it running, `restore` needs it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dotenv import load_dotenv

from deploy.backup.archive import ArchiveReader, FolderReader
from deploy.backup.errors import BackupError
from deploy.backup.members import Readable
from deploy.backup.restore import Backup, restore, verify
from deploy.backup.run import ERRORS, describe, run_once
from deploy.backup.running import add_running_stores, run_stopped_stores
from deploy.backup.save import save
from deploy.backup.schedule import run_for_ever
from deploy.backup.targets import LATEST, NAME, FolderTarget, find, open_target
from deploy.local.home import ROOT
from pipeline.settings import Settings
from pipeline.settings_mistakes import find_mistakes

STREAMED = {"save": "stdout", "verify": "stdin", "restore": "stdin"}
Counts = dict[str, int]


def main(arguments: list[str]) -> int:
    """Run from the command line, on the servers that the environment names or on those of `./run up`."""
    parser = argparse.ArgumentParser(
        prog="./run backup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=[*STREAMED, "run", "schedule", "list"])
    parser.add_argument("file", nargs="?", help="a file, or the name of a backup in the target")
    parser.add_argument(
        "--from", dest="source", metavar="URL", help="another target: file:///folder, s3://bucket/prefix"
    )
    chosen = parser.parse_intermixed_args(arguments)  # an option may stand before the file
    if chosen.file is None and chosen.action in STREAMED and getattr(sys, STREAMED[chosen.action]).isatty():
        parser.error(f"{chosen.action} needs a file, or redirect it: save > darkroom.tar, restore < darkroom.tar")
    if chosen.file is None and chosen.source and chosen.action != "list":
        parser.error(f"--from needs the name of a backup, or {LATEST}")
    load_dotenv(ROOT / ".env")
    if mistakes := find_mistakes():
        return _fail(*mistakes)
    try:
        _act(chosen.action, chosen.file, chosen.source)
    except ERRORS as error:
        return _fail(describe(error))
    return 0


def _act(action: str, file: str | None, source: str | None) -> None:
    if action == "save":
        _save(file)
    elif action == "run":
        settings = add_running_stores(Settings())
        run = run_once(settings, open_target(settings.backup.target), now=datetime.now(UTC))
        print(f"{run.stored.name}: {_format(run.counts)}")
    elif action == "schedule":
        run_for_ever(add_running_stores(Settings()))
    elif action == "list":
        for stored in open_target(source or Settings().backup.target).list():
            print(f"{stored.name}  {stored.size / 1e6:12,.1f} MB")
    else:
        with _open_backup(file, source) as backup:
            print(_format(verify(backup) if action == "verify" else _restore(backup)))


def _save(file: str | None) -> None:
    settings = add_running_stores(Settings())
    if file is None:
        counts = save(settings, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        print(_format(counts), file=sys.stderr)
        return
    path = Path(file).absolute()
    if path.exists():
        raise BackupError(f"{file} exists already: name a new file.")
    with FolderTarget(path.parent).write(path.name) as stream:
        counts = save(settings, stream)
    print(_format(counts))


def _restore(backup: Backup) -> Counts:
    with run_stopped_stores(Settings()) as settings:
        return restore(settings, backup)


@contextmanager
def _open_backup(file: str | None, source: str | None) -> Iterator[Backup]:
    if file is not None and source is None and Path(file).is_dir():
        yield FolderReader(Path(file))
        return
    with _open(file, source) as stream:
        yield ArchiveReader(stream)


@contextmanager
def _open(file: str | None, source: str | None) -> Iterator[Readable]:
    """Yield a stream: stdin, a file, or a backup in a target, whose name nothing else has."""
    if file is None:
        yield sys.stdin.buffer
    elif source or ((file == LATEST or NAME.fullmatch(file)) and not Path(file).exists()):
        target = open_target(source or Settings().backup.target)
        stored = find(target, file)
        print(stored.name, file=sys.stderr)
        with target.read(stored.name) as stream:
            yield stream
    elif not Path(file).exists():
        raise BackupError(f"There is no file {file} here. A container reads a file from stdin: restore < {file}")
    else:
        with Path(file).open("rb") as stream:
            yield stream


def _format(counts: Counts) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())


def _fail(*reasons: str) -> int:
    for reason in reasons:
        print(f"backup: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

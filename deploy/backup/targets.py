"""Where archives are kept: a folder or a bucket. An archive has its name only once it is complete."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore

from deploy.backup.archive import Writable
from deploy.backup.errors import BackupError
from deploy.backup.members import Readable
from storage.object_store import connect_for_archives

PART_BYTES = 32 * 1024 * 1024
"""S3 accepts 10,000 parts: an archive in a bucket can have 312 GiB."""
CONCURRENCY = 2
READ_BYTES = 8 * 1024 * 1024
ABANDONED_SECONDS = 3600
"""An unfinished file that nobody has written to for this long belongs to a process that was killed."""
STAMP = "%Y%m%dT%H%M%SZ"
NAME = re.compile(r"darkroom-(\d{8}T\d{6}Z)\.tar")
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Stored:
    """A complete archive in a target."""

    name: str
    time: datetime
    size: int


class Target(Protocol):
    """Keeps archives by name."""

    def list(self) -> list[Stored]:
        """Return the complete archives, oldest first. Other files are ignored."""

    def write(self, name: str) -> AbstractContextManager[Writable]:
        """Yield a stream. There is an archive only if the block ends without an error."""

    def read(self, name: str) -> AbstractContextManager[Readable]:
        """Yield the archive as a stream."""

    def remove(self, name: str) -> None:
        """Remove an archive."""


def open_target(url: str) -> Target:
    """Open `file:///folder`, `s3://bucket/prefix`, `gs://` or `az://`."""
    if not url:
        raise BackupError("DARKROOM_BACKUP__TARGET names no place: file:///folder or s3://bucket/prefix.")
    parts = urlsplit(url)
    return FolderTarget(Path(url2pathname(parts.path))) if parts.scheme == "file" else BucketTarget(url)


def archive_name(started: datetime) -> str:
    """Return the name of an archive that was begun at this time."""
    return f"darkroom-{started.astimezone(UTC).strftime(STAMP)}.tar"


def find(target: Target, name: str) -> Stored:
    """Return the archive of this name, or the newest for `latest`. Raises `BackupError` if there is none.

    One of the future was made while a clock was wrong: it is the newest only if there is no other.
    """
    stored = target.list()
    if name == LATEST:
        now = datetime.now(UTC)
        found = ([each for each in stored if each.time <= now] or stored)[-1:]
    else:
        found = [each for each in stored if each.name == name]
    if not found:
        raise BackupError("The target holds no backup." if name == LATEST else f"The target holds no backup {name!r}.")
    return found[0]


class FolderTarget:
    """A folder: a volume, a disk, or what is mounted there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list(self) -> list[Stored]:
        """Return the complete archives, oldest first."""
        if not self._folder.is_dir():
            return []
        return _sort(_sizes(self._folder))

    @contextmanager
    def write(self, name: str) -> Iterator[Writable]:
        """Yield a stream to an unfinished file, which is renamed at the end."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()
        unfinished = self._folder / f".{name}.part"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self._folder / name)
        finally:
            unfinished.unlink(missing_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def read(self, name: str) -> Iterator[IO[bytes]]:
        """Yield the archive."""
        with (self._folder / name).open("rb") as file:
            yield file

    def remove(self, name: str) -> None:
        """Remove an archive."""
        (self._folder / name).unlink(missing_ok=True)

    def _remove_abandoned(self) -> None:
        for path in self._folder.glob(".darkroom-*.tar.part"):
            if path.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                path.unlink(missing_ok=True)


class BucketTarget:
    """A bucket: an archive is one upload in parts, and there is no object before it is completed."""

    def __init__(self, url: str) -> None:
        self._store = connect_for_archives(url)

    def list(self) -> list[Stored]:
        """Return the complete archives, oldest first."""
        return _sort((item["path"], item["size"]) for item in obstore.list_with_delimiter(self._store)["objects"])

    @contextmanager
    def write(self, name: str) -> Iterator[Writable]:
        """Yield a stream to an upload, which is completed at the end, or aborted."""
        with obstore.open_writer(self._store, name, buffer_size=PART_BYTES, max_concurrency=CONCURRENCY) as file:
            yield file

    @contextmanager
    def read(self, name: str) -> Iterator[Readable]:
        """Yield the archive, which is read in ranges: one download would have to be faster than a timeout."""
        yield _Ranges(obstore.open_reader(self._store, name, buffer_size=READ_BYTES))

    def remove(self, name: str) -> None:
        """Remove an archive."""
        obstore.delete(self._store, name)


class _Ranges:
    """obstore's reader, with bytes instead of its own type."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int, /) -> bytes:
        return bytes(self._reader.read(size))


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the archives of a folder. Others may be removed or renamed meanwhile, or be links to what is gone."""
    for path in folder.iterdir():
        if NAME.fullmatch(path.name):
            with suppress(FileNotFoundError):
                yield path.name, path.stat().st_size


def _sort(files: Iterable[tuple[str, int]]) -> list[Stored]:
    found = []
    for name, size in files:
        if match := NAME.fullmatch(name):
            found.append(Stored(name, datetime.strptime(match[1], STAMP).replace(tzinfo=UTC), size))
    return sorted(found, key=lambda each: each.name)

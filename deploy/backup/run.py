"""One backup to the target, and the removal of those that have had their time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

import structlog
from bson.errors import BSONError
from obstore.exceptions import BaseError
from pymongo.errors import PyMongoError

from deploy.backup.archive import Writable
from deploy.backup.errors import BackupError
from deploy.backup.retention import select_expired
from deploy.backup.save import save
from deploy.backup.targets import Stored, Target, archive_name, find
from pipeline.settings import Settings

ERRORS = (BackupError, BSONError, PyMongoError, BaseError, OSError)
"""What can go wrong with stores and targets."""

log = structlog.get_logger("backup")


@dataclass(frozen=True, slots=True)
class Run:
    """A backup that was made."""

    stored: Stored
    counts: dict[str, int]
    seconds: float


def run_once(settings: Settings, target: Target, *, now: datetime) -> Run:
    """Make a backup, then remove those that have had their time. Raises one of `ERRORS`; then nothing is removed."""
    begun = monotonic()
    name = archive_name(now)
    if any(each.name == name for each in target.list()):
        raise BackupError(f"The target has {name} already.")
    with target.write(name) as stream:
        counted = _Counting(stream)
        counts = save(settings, counted)
    stored = find(target, name)
    if stored.size != counted.bytes:
        target.remove(name)
        raise BackupError(f"The target keeps {stored.size} of {counted.bytes} bytes.")
    run = Run(stored, counts, monotonic() - begun)
    log.info("backup.saved", archive=name, bytes=stored.size, seconds=round(run.seconds, 1), **counts)
    _remove_expired(settings, target, now=now)
    return run


def list_past(target: Target, now: datetime) -> list[Stored]:
    """Return the archives, oldest first. One of the future, made while a clock was wrong, must not replace others."""
    return [each for each in target.list() if each.time <= now]


def _remove_expired(settings: Settings, target: Target, *, now: datetime) -> None:
    try:
        stored = list_past(target, now)
        expired = select_expired((each.time for each in stored), settings.backup)
        for each in stored:
            if each.time in expired:
                target.remove(each.name)
                log.info("backup.removed", archive=each.name)
    except ERRORS as error:  # the backup is made; the next run tries again
        log.warning("backup.removal_failed", error=describe(error))


def describe(error: Exception) -> str:
    """Return what went wrong in one line: obstore's errors have many."""
    if isinstance(error, OSError):
        return ": ".join(filter(None, (error.filename, error.strerror))) or str(error)
    return str(error).partition("\n")[0]


class _Counting:
    """Counts the bytes that are written."""

    def __init__(self, stream: Writable) -> None:
        self._stream = stream
        self.bytes = 0

    def write(self, data: bytes, /) -> Any:
        self.bytes += len(data)
        return self._stream.write(data)

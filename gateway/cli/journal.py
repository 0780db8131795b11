"""The journal of uploads: what became of each photo, so that a second run does only what is left.

One JSON object a line, only ever added to; of a photo and what was asked for it, the last line counts. A line is
written before a photo is sent, with the Idempotency-Key it is sent under: whenever a run ends, the next one sends the
photo under the same key and gets the job that may be there already.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

from ..client.receivers import digest_of

JOURNAL_NAME = ".darkroom-uploads.jsonl"
State = Literal["sending", "accepted", "done", "failed", "refused"]


class JournalLocked(Exception):
    """Another process is at work with the journal."""


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """What is known of one photo (`file`, as it was then) and what was asked for it (`ask`, a hash)."""

    file: str
    size: int
    mtime_ns: int
    ask: str
    state: State
    key: str
    task_id: str | None = None
    stem: str | None = None
    saved: dict[str, str] = field(default_factory=dict)
    """Where each rendition is, by name; paths from the journal's folder."""
    status: str | None = None
    code: str | None = None
    message: str | None = None


class Journal:
    """The journal of one folder, held by one process at a time; without a folder, one that nothing is kept of."""

    def __init__(self, folder: Path | None) -> None:
        """Open or begin it. Raises `JournalLocked`, and OSError where nothing can be written."""
        self.folder = folder
        self.owner_by_stem: dict[str, str] = {}
        """Whose each stem is."""
        self._owner_by_file: dict[str, tuple[str, str]] = {}
        """The photo and the ask that each saved file was last made for."""
        self._entries: dict[tuple[str, str], JournalEntry] = {}
        self._descriptor = None if folder is None else _open_locked(folder / JOURNAL_NAME)
        for entry in read_entries(folder) if folder else ():
            self._index_entry(entry)

    def find(self, file: str, ask: str, *, size: int, mtime_ns: int) -> JournalEntry | None:
        """Return what is known of a photo, unless it has changed since."""
        entry = self._entries.get((file, ask))
        return entry if entry and (entry.size, entry.mtime_ns) == (size, mtime_ns) else None

    def is_saved(self, entry: JournalEntry) -> bool:
        """Whether all that was saved for an entry is there, and was not overwritten for another by an older command."""
        owner = (entry.file, entry.ask)
        return bool(entry.saved) and all(
            self._owner_by_file.get(name) == owner and self._path(name).is_file() for name in entry.saved.values()
        )

    def belongs_to_another(self, name: str, file: str, ask: str, *, sha256: str) -> bool:
        """Whether there is a file of this name that was not made for that photo and what is asked for it.

        What another ask made of the same photo is no other file if its bytes are the same.
        """
        made_for, path = self._owner_by_file.get(name), self._path(name)
        if made_for == (file, ask) or not path.exists():
            return False
        is_of_same_photo = made_for is not None and made_for[0] == file
        return not (is_of_same_photo and path.is_file() and digest_of(path) == sha256)

    def add(self, entry: JournalEntry) -> None:
        """Write one line, in one piece."""
        self._index_entry(entry)
        if self._descriptor is None:
            return
        line = {name: value for name, value in asdict(entry).items() if value not in (None, {})}
        line["at"] = round(time.time(), 3)
        os.write(self._descriptor, _newline_after_torn_line(self._descriptor) + json.dumps(line).encode() + b"\n")

    def _path(self, name: str) -> Path:
        return (self.folder or Path()) / name

    def _index_entry(self, entry: JournalEntry) -> None:
        self._entries[entry.file, entry.ask] = entry
        if entry.stem is not None:
            self.owner_by_stem[entry.stem] = entry.file
        for name in entry.saved.values():
            self._owner_by_file[name] = (entry.file, entry.ask)

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open_locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise JournalLocked(f"Another darkroom is at work with {path}.") from error
    return descriptor


def _newline_after_torn_line(descriptor: int) -> bytes:
    """Return a line's end where the journal does not end with one: its writer was killed, or its disk was full."""
    size = os.fstat(descriptor).st_size
    return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""


def read_entries(folder: Path) -> Iterator[JournalEntry]:
    """Read the entries of a folder's journal, if it has one. Lines that are none, such as a torn one, are left out."""
    try:
        lines = (folder / JOURNAL_NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return
    known = {each.name for each in fields(JournalEntry)}
    for line in lines:
        try:
            found: Any = json.loads(line)
            if isinstance(found, Mapping):
                yield JournalEntry(**{name: value for name, value in found.items() if name in known})
        except (ValueError, TypeError):
            continue

"""The journal of uploads: the state of each photo, so that a later run does only the rest.

The file is append-only, one JSON object on each line. The last line for a photo and a request counts. A line with the
Idempotency-Key is written before the upload starts. If a run is interrupted, the next one uploads the photo with the
same key, and so gets the job that may exist already.
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
    """Another process uses the journal."""


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """One line of the journal: the state of one photo for one request."""

    file: str
    size: int
    """In bytes, at the time of the upload."""
    mtime_ns: int
    sha256: str | None = None
    """SHA-256 (hex) of the bytes; None where nobody needs it."""
    ask: str
    """The fingerprint of the request."""
    state: State
    key: str
    """The Idempotency-Key."""
    task_id: str | None = None
    stem: str | None = None
    """The start of the names of the saved files."""
    saved: dict[str, str] = field(default_factory=dict)
    """The path of each saved rendition, by name, relative to the journal's folder."""
    placeholder: dict[str, Any] | None = None
    status: str | None = None
    code: str | None = None
    message: str | None = None


class Journal:
    """The journal of one folder, locked by one process at a time. Without a folder, it is only kept in memory."""

    def __init__(self, folder: Path | None) -> None:
        """Open or create the journal. Raises `JournalLocked`, or OSError if the file cannot be written."""
        self.folder = folder
        self.owner_by_stem: dict[str, str] = {}
        """The photo that uses each stem."""
        self._owner_by_file: dict[str, tuple[str, str]] = {}
        """The photo and the request's fingerprint that each saved file was last written for."""
        self._entries: dict[tuple[str, str], JournalEntry] = {}
        self._descriptor = None if folder is None else _open_locked(folder / JOURNAL_NAME)
        for entry in read_entries(folder) if folder else ():
            self._index_entry(entry)

    def find(self, file: str, fingerprint: str, *, size: int, mtime_ns: int) -> JournalEntry | None:
        """Return the entry of a photo and a request; None if there is none, or if the photo has changed since."""
        entry = self._entries.get((file, fingerprint))
        return entry if entry and (entry.size, entry.mtime_ns) == (size, mtime_ns) else None

    def find_last(self, file: str, fingerprint: str) -> JournalEntry | None:
        """Return the entry of a photo and a request, whether the photo has changed since or not."""
        return self._entries.get((file, fingerprint))

    def is_saved(self, entry: JournalEntry) -> bool:
        """Whether all saved files of an entry exist, and no other entry has overwritten them since."""
        owner = (entry.file, entry.ask)
        return bool(entry.saved) and all(
            self._owner_by_file.get(name) == owner and self._path(name).is_file() for name in entry.saved.values()
        )

    def has_saved(self, name: str) -> bool:
        """Whether a file of this name, relative to the journal's folder, is a result that some run has saved."""
        return name in self._owner_by_file

    def belongs_to_another(self, name: str, file: str, fingerprint: str, *, sha256: str) -> bool:
        """Whether a file of this name exists that was not saved for this photo and request.

        A file that another request saved for the same photo does not count if it has the SHA-256 given.
        """
        owner, path = self._owner_by_file.get(name), self._path(name)
        if owner == (file, fingerprint) or not path.exists():
            return False
        is_of_same_photo = owner is not None and owner[0] == file
        return not (is_of_same_photo and path.is_file() and digest_of(path) == sha256)

    def add(self, entry: JournalEntry) -> None:
        """Append one line, with a single write."""
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
        """Close the file, and so release its lock."""
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
        raise JournalLocked(f"Another darkroom command is using {path}.") from error
    return descriptor


def _newline_after_torn_line(descriptor: int) -> bytes:
    """Return a newline if the last line has none, because its writer was killed or the disk was full."""
    size = os.fstat(descriptor).st_size
    return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""


def read_entries(folder: Path) -> Iterator[JournalEntry]:
    """Iterate over the entries of a folder's journal, if it has one. Lines that are not entries are ignored."""
    try:
        lines = (folder / JOURNAL_NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return
    known_names = {each.name for each in fields(JournalEntry)}
    for line in lines:
        try:
            document: Any = json.loads(line)
            if isinstance(document, Mapping):
                yield JournalEntry(**{name: value for name, value in document.items() if name in known_names})
        except (ValueError, TypeError):
            continue

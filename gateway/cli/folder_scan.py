"""Scan a folder again and again for photos that are complete: their size and time have not changed for a moment."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from os.path import splitext
from pathlib import Path
from time import monotonic
from typing import NamedTuple


class FileVersion(NamedTuple):
    """What changes when a file is written. The bytes of one that was written again may be the same."""

    size: int
    mtime_ns: int


Found = Mapping[str, FileVersion]
"""The version of each file by its path. Paths are text here: making objects of them took most of a scan's time."""


def scan_folder(folder: Path, extensions: Collection[str], *, recursive: bool, skip: Path | None) -> Found:
    """Return the photos in a folder, as `darkroom upload` finds them. Raises OSError if the folder cannot be read.

    Hidden files and folders are left out, the folder `skip`, empty files, and what the names of copying programs mark
    as incomplete: an ending such as `.part`, or a `~` at the start.
    """
    return dict(_walk(str(folder), extensions, recursive=recursive, skip=str(skip)))


def _walk(folder: str, extensions: Collection[str], *, recursive: bool, skip: str) -> Iterator[tuple[str, FileVersion]]:
    with os.scandir(folder) as entries:
        listed = [entry for entry in entries if not entry.name.startswith((".", "~"))]
    for entry in listed:
        try:
            if entry.is_dir(follow_symlinks=False):
                if recursive and entry.path != skip:
                    yield from _walk(entry.path, extensions, recursive=recursive, skip=skip)
            elif _extension_of(entry.name) in extensions and entry.is_file() and (facts := entry.stat()).st_size:
                yield entry.path, FileVersion(facts.st_size, facts.st_mtime_ns)
        except OSError:  # it was removed meanwhile, or may not be read: others may
            continue


def _extension_of(name: str) -> str:
    return splitext(name)[1].lower()  # noqa: PTH122  # `Path` costs more than the look at the file


@dataclass(slots=True)
class _Seen:
    version: FileVersion
    since: float
    """When this version was first seen."""
    is_taken: bool = False
    retry_at: float | None = None


class CompleteFiles:
    """Tells which files are complete, each version of a file once."""

    def __init__(self, settle_seconds: float, *, clock: Callable[[], float] = monotonic) -> None:
        """A file is complete when its version has not changed for `settle_seconds`."""
        self._settle_seconds = settle_seconds
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def take(self, found: Found) -> list[tuple[Path, FileVersion]]:
        """Take in what a scan has found, and return the files that have become complete, the oldest first."""
        now = self._clock()
        self._seen = {path: self._look(path, version, now) for path, version in found.items()}
        complete = [path for path, seen in self._seen.items() if self._is_due(seen, now)]
        for path in complete:
            self._seen[path].is_taken, self._seen[path].retry_at = True, None
        ordered = sorted(complete, key=lambda path: (found[path].mtime_ns, path))
        return [(Path(path), found[path]) for path in ordered]

    def take_again(self, path: Path, *, seconds: float) -> None:
        """Return a file again after so many seconds, although it has not changed."""
        if (seen := self._seen.get(str(path))) is not None:
            seen.retry_at = self._clock() + seconds

    def _look(self, path: str, version: FileVersion, now: float) -> _Seen:
        seen = self._seen.get(path)
        return seen if seen is not None and seen.version == version else _Seen(version, now)

    def _is_due(self, seen: _Seen, now: float) -> bool:
        if seen.is_taken:
            return seen.retry_at is not None and now >= seen.retry_at
        return now - seen.since >= self._settle_seconds

"""Reads the new lines of growing log files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path


class LogFollower:
    """Keeps the offset up to which each file was read. Lines that exist at the start are skipped."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        """Follow these files, by name."""
        self._files = dict(files)
        self._offsets = {name: _size(file) for name, file in self._files.items()}

    def read_new_lines(self) -> Iterator[tuple[str, str]]:
        """Yield the complete lines written since the last call, each with its file's name."""
        for name, file in self._files.items():
            if _size(file) < self._offsets[name]:  # the file was rotated
                self._offsets[name] = 0
            if _size(file) == self._offsets[name]:
                continue
            with file.open("rb") as log:
                log.seek(self._offsets[name])
                complete, newline, _ = log.read().rpartition(b"\n")
            self._offsets[name] += len(complete + newline)
            for line in complete.decode(errors="replace").splitlines():
                yield name, line


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0

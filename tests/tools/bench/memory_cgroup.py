"""A control group of Linux with a limit of memory and without swap, of version 1 or 2: cgroups(7)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
REMOVE_SECONDS = 10.0


class CannotLimitMemoryError(RuntimeError):
    """Memory cannot be limited here; the message says why."""


class MemoryGroup:
    """One group. A process that writes its id to `procs` is in it, with all children that it starts later."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        """Set the limits of an empty group, in bytes."""
        self.procs = folder / "cgroup.procs"
        self._folder = folder
        self._is_v2 = (folder / "memory.max").exists()
        if self._is_v2:
            self._write("memory.max", limit)
            self._write("memory.swap.max", 0, is_required=False)  # absent in a kernel without swap
        else:
            self._write("memory.limit_in_bytes", limit)
            self._write("memory.memsw.limit_in_bytes", limit, is_required=False)

    @property
    def peak_bytes(self) -> int:
        """The most that was in use, with the page cache, which is given up when processes need the memory."""
        name = "memory.peak" if self._is_v2 else "memory.max_usage_in_bytes"
        return int((self._folder / name).read_text())

    @property
    def process_bytes(self) -> int:
        """What the processes have now, without the page cache; shared memory counts once."""
        lines = (self._folder / "memory.stat").read_text().splitlines()
        wanted = "anon" if self._is_v2 else "total_rss"
        return next(int(line.split()[1]) for line in lines if line.split()[0] == wanted)

    @property
    def kills(self) -> int:
        """Processes that the kernel killed because the group was at its limit."""
        lines = (self._folder / ("memory.events" if self._is_v2 else "memory.oom_control")).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.split()[0] == "oom_kill")

    def _write(self, name: str, value: int, *, is_required: bool = True) -> None:
        file = self._folder / name
        if is_required or file.exists():
            file.write_text(str(value))


@contextmanager
def limit_memory(limit: int) -> Iterator[MemoryGroup]:
    """Make a group, and remove it at the end. CannotLimitMemoryError without the right, or without cgroups."""
    parent = _find_parent()
    folder = parent / f"darkroom-bench-{os.getpid()}"
    try:
        folder.mkdir()
        try:
            yield MemoryGroup(folder, limit=limit)
        finally:
            _remove(folder)
    except OSError as error:
        raise CannotLimitMemoryError(f"no memory limit in {folder}: {error.strerror}; it needs root") from error


def _find_parent() -> Path:
    """Return the folder of the memory controller, in which groups are made."""
    if (MOUNT / "memory" / "memory.limit_in_bytes").exists():
        return MOUNT / "memory"
    controllers = MOUNT / "cgroup.controllers"
    if not controllers.exists() or "memory" not in controllers.read_text().split():
        raise CannotLimitMemoryError(f"{MOUNT} has no controller of memory")
    with suppress(OSError):  # then it is on, or the group has no memory.max
        (MOUNT / "cgroup.subtree_control").write_text("+memory")
    return MOUNT


def _remove(folder: Path) -> None:
    """Remove a group, which may have processes for a moment longer."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return

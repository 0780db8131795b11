"""Disks of a given size, for as long as a test takes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from storage.blobs import Blobs

DISK_BYTES = 100_000


@contextmanager
def mount_small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a disk of this size at a folder until the block ends. The test is skipped where nothing may be mounted."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    mounted = shutil.which("mount") and subprocess.run(command, check=False, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("only root may mount a disk, and not in every container")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@dataclass
class Disk(Blobs):
    """Blobs on a disk with so many bytes free, of DISK_BYTES."""

    free: int
    readings: int = 0

    def __post_init__(self) -> None:
        super().__init__(MemoryStore())

    @property
    def is_local(self) -> bool:
        return True

    def read_disk_space(self) -> tuple[int, int]:
        self.readings += 1
        return self.free, DISK_BYTES

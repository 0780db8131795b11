"""The folder in which the children of a worker count. One whose worker was killed is removed by the next worker."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

PREFIX = "darkroom-metrics-"
LOCK = "lock"


class MetricsFolder:
    """A temporary folder with a file in it that is locked until this process has ended, however it ends."""

    def __init__(self) -> None:
        """Create the folder. Remove those whose lock nobody holds."""
        _remove_abandoned(Path(gettempdir()))
        self._folder = TemporaryDirectory(prefix=PREFIX)
        self.path = Path(self._folder.name)
        unlocked = self.path / f"{LOCK}.new"  # under its name it is locked, or its process has ended
        self._lock = os.open(unlocked, os.O_WRONLY | os.O_CREAT)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unlocked.rename(self.path / LOCK)

    def close_inherited(self) -> None:
        """Close the parent's file in a child: an open copy would keep the lock after the parent has ended."""
        os.close(self._lock)

    def remove(self) -> None:
        """Remove the folder with all files in it."""
        self._folder.cleanup()
        os.close(self._lock)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is in use or somebody else's, or has no lock
            lock = os.open(folder / LOCK, os.O_WRONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)

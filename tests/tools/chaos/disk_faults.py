"""Faults of disks: no room for blobs, for Redis' append-only file, for Mongo's journal.

The processes may write no file beyond a limit (RLIMIT_FSIZE), so writes begin and fail. That needs no right to mount
anything, holds for root too, and fills no disk that others use. The error is EFBIG, where a full disk's is ENOSPC.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from tests.tools.chaos.scene import FaultEffect, Scene

MAX_FILE_BYTES = 4096  # bytes of a file that still can be written


def blobs_full(scene: Scene) -> Iterator[FaultEffect]:
    """Let gateways and workers write no more than the first bytes of a file for some seconds."""
    yield from _full(scene, scene.stack.darkroom_pids)


def redis_disk_full(scene: Scene) -> Iterator[FaultEffect]:
    """Let Redis append nothing to its file for some seconds: it answers, and refuses every write."""
    yield from _full(scene, lambda: [scene.stack.pid("redis")])


def mongo_disk_full(scene: Scene) -> Iterator[FaultEffect]:
    """Let Mongo write nothing for some seconds: it answers, and refuses every write."""
    yield from _full(scene, lambda: [scene.stack.pid("mongo")])


def _full(scene: Scene, find_pids: Callable[[], list[int]]) -> Iterator[FaultEffect]:
    seconds = scene.pick_seconds(2, 5)
    for pid in find_pids():
        _limit(pid, MAX_FILE_BYTES)
    with scene.expect_no_end():
        try:
            yield FaultEffect(f"{seconds:.1f} s")
            time.sleep(seconds)
        finally:
            for pid in find_pids():
                _limit(pid, None)


def _limit(pid: int, size: int | None) -> None:
    with suppress(ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

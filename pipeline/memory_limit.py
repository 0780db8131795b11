"""The memory limit of a child: an image that needs more is refused, before the kernel kills the child."""

from __future__ import annotations

import mmap
import os
import resource
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from pipeline.idle_memory import begin_work, end_work, return_free_memory
from stages.errors import ImageNeedsTooMuchMemory

_MIB = 1024 * 1024
_STATUS = Path("/proc/self/statm")
_STATUS_BYTES = 256  # seven numbers
_DATA = 5  # the field for private writable memory, in pages: proc_pid_statm(5)


def limit_memory(mib: int) -> None:
    """Limit what this process may allocate on top of what it has now. Does nothing for 0, or where there is no /proc.

    Linux counts private writable memory, used or not, so the limit bounds what is resident. Threads count with their
    stacks; files and memory that is shared do not.
    """
    if mib and _STATUS.exists():
        limit = _allocated_bytes() + mib * _MIB
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


@contextmanager
def refuse_beyond_limit() -> Iterator[None]:
    """Raise `ImageNeedsTooMuchMemory` for a `MemoryError` that the limit of this process caused.

    When the machine has no memory left, or there is no limit, the MemoryError stays: another attempt may succeed. What
    earlier images left free in the heap counts towards the limit, so it is returned first.
    """
    begin_work()
    if _is_half_used():
        return_free_memory()
    try:
        yield
    except MemoryError as error:
        if _limit_is_the_cause():
            raise ImageNeedsTooMuchMemory from error
        raise
    finally:
        end_work()


def release_images(error: BaseException | None) -> None:
    """Drop what the frames of an error hold: Celery keeps the error, and the next image needs this one's memory."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _limit_is_the_cause() -> bool:
    """Whether there is a limit, and the machine would give this process all that is left of it."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if limit == resource.RLIM_INFINITY or not _STATUS.exists():
        return False
    left = limit - _allocated_bytes() - _MIB
    if left <= 0:
        return True
    try:
        mmap.mmap(-1, left, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError:
        return False
    return True


def _is_half_used() -> bool:
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return limit != resource.RLIM_INFINITY and _STATUS.exists() and _allocated_bytes() > limit // 2


def _allocated_bytes() -> int:
    return int(os.pread(_open_status(os.getpid()), _STATUS_BYTES, 0).split()[_DATA]) * mmap.PAGESIZE


@cache
def _open_status(pid: int) -> int:  # noqa: ARG001  # after a fork, an open file would still be that of the parent
    """Return a descriptor of this process's status, which stays open: each stage run reads it."""
    return os.open(_STATUS, os.O_RDONLY | os.O_CLOEXEC)

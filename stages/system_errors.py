"""Errors of the system behind those of a codec: they say nothing about the image, so they never refuse it."""

from __future__ import annotations

import errno
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager

_SYSTEM = frozenset(
    (errno.EAGAIN, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOSPC, errno.EROFS)
)
# -9 is IMAGING_CODEC_MEMORY, Pillow's own. A limit that libheif sets itself is about the image.
_NO_MEMORY = re.compile(
    r"(?!.*security limit).*"
    r"(out of memory|not enough memory|insufficient memory|cannot allocate|allocation (error|failed)|bad_alloc"
    r"|coder error -9$)",
    re.IGNORECASE | re.DOTALL,
)
# Without a free thread, libheif reports an unexpected exception. If an image causes one, more attempts do no harm.
_NO_THREAD = re.compile(
    r"(start|create|spawn)\b.*\bthread|resource temporarily unavailable|unexpected C\+\+ exception", re.IGNORECASE
)


@contextmanager
def reveal_system_errors() -> Iterator[None]:
    """Raise MemoryError, or OSError with its number, for an error of a codec that the system caused."""
    try:
        yield
    except Exception as error:
        cause = find_system_error(error)
        if cause is None or cause is error:
            raise
        raise cause from error


def find_system_error(error: Exception) -> MemoryError | OSError | None:
    """Return the error of the system that a codec's error is or hides; None if the image is at fault."""
    if isinstance(error, MemoryError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        if error.errno == errno.ENOMEM:
            return MemoryError(str(error))
        return error if error.errno in _SYSTEM else None
    if _NO_MEMORY.match(str(error)):
        return MemoryError(str(error))
    if _NO_THREAD.search(str(error)):
        return OSError(errno.EAGAIN, str(error))
    return None


def check_memory(count: int) -> None:
    """Raise MemoryError unless `count` bytes can be allocated now: before code that would abort the process."""
    try:
        mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise MemoryError(str(error)) from error

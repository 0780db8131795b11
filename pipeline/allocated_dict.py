"""The files in which the children of a worker count, with all their bytes on the disk."""

from __future__ import annotations

import os
from contextlib import suppress

from prometheus_client.mmap_dict import MmapedDict

INITIAL_BYTES = 1 << 16
ENTRY_BYTES = 32  # of a series, besides its key: a length, padding, two numbers


class AllocatedDict(MmapedDict):
    """prometheus_client's map of series in a file, without holes in the file. Raises OSError if the disk is full.

    A write through a memory map into a hole ends the process (SIGBUS) if the disk is full by then.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:  # noqa: FBT002  # as the base class
        if not read_mode:
            descriptor = os.open(filename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                allocate(descriptor, INITIAL_BYTES)
            finally:
                os.close(descriptor)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        capacity, used = self._capacity, self._used + len(key.encode()) + ENTRY_BYTES
        while capacity < used:
            capacity *= 2
        allocate(self._f.fileno(), capacity)
        super()._init_value(key)  # type: ignore[no-untyped-call]


def allocate(descriptor: int, size: int) -> None:
    """Append zeros to a file until it has this size; if the disk is full, undo it and raise OSError."""
    before = os.fstat(descriptor).st_size
    missing = size - before
    try:
        while missing > 0:
            missing -= os.write(descriptor, bytes(missing))
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, before)
        raise

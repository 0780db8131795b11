"""Files of a local folder: each is written whole, and synced to the disk as far as the caller needs it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import count


def write_file(path: str, parts: Sequence[bytes], *, durable: bool) -> None:
    """Write a file, or replace it, at once: it is written under another name, such as `small.1#1`, and renamed.

    If it is `durable`, its bytes are on the disk at the end; `sync` of its folder does the same for its name. Folders
    that are missing are made. Raises OSError, and leaves nothing under the other name then.
    """
    descriptor, unfinished = create_unfinished(path)
    try:
        for part in parts:
            write_all(descriptor, part)
        os.rename(unfinished, path)  # noqa: PTH104  Path objects take longer than the call
        if durable:  # after the rename, so that a journal commits both at once; until the end nobody knows the name
            os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)  # noqa: PTH108
        raise
    finally:
        os.close(descriptor)


def sync(path: str) -> None:
    """Have what a file holds, or the names that a folder has, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_unfinished(path: str) -> tuple[int, str]:
    """Create a file beside `path`, under a name that no other write has; return its descriptor and its name."""
    for number in count(1):
        unfinished = f"{path}#{number}"
        while True:
            try:
                return os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), unfinished
            except FileExistsError:
                break
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    raise AssertionError


def write_all(descriptor: int, part: bytes) -> None:
    """Write all bytes to an open file: the system may take only some of them at once."""
    rest = memoryview(part)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

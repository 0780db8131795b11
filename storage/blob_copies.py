"""A whole blob as a file, which a removal meanwhile does not change."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

READ_BYTES = 256 * 1024
MEMORY_BYTES = 16 * 1024 * 1024
"""A larger blob is copied to a temporary file, not to memory."""


@dataclass(frozen=True, slots=True)
class BlobCopy:
    """A blob's content, its size, and the headers that an object store keeps with it."""

    content: IO[bytes]
    size: int
    attributes: Mapping[str, str]


@contextmanager
def open_local(path: Path) -> Iterator[BlobCopy]:
    """Yield a file of a local folder: a write replaces it and a removal unlinks it, so what is open stays as it is."""
    with path.open("rb") as file:
        yield BlobCopy(file, os.fstat(file.fileno()).st_size, {})


@contextmanager
def copy_remote(store: ObjectStore, key: str) -> Iterator[BlobCopy]:
    """Yield a copy: a store may end a download when the blob is removed. `FileNotFoundError` says that it was."""
    with SpooledTemporaryFile(max_size=MEMORY_BYTES) as copy:
        try:
            result = obstore.get(store, key)
            for chunk in result.stream(READ_BYTES):
                copy.write(chunk)
        except BaseError as error:
            if _exists(store, key):
                raise
            raise FileNotFoundError(errno.ENOENT, "Removed while it was read", key) from error
        size = copy.tell()
        copy.seek(0)
        yield BlobCopy(copy, size, {str(name): str(value) for name, value in result.attributes.items()})


def _exists(store: ObjectStore, key: str) -> bool:
    try:
        obstore.head(store, key)
    except FileNotFoundError:
        return False
    return True

"""Blobs: bytes by key in a local folder, an object store or memory, all through obstore."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.store import LocalStore, MemoryStore, from_url

if TYPE_CHECKING:
    from obstore import AsyncWritableFile
    from obstore.store import ObjectStore

LOCAL_CHUNK = 1024 * 1024
REMOTE_CHUNK = 5 * 1024 * 1024
"""Bytes that a streaming writer holds: S3 takes no smaller part of a multipart upload than 5 MiB."""


class Blobs:
    """Bytes by key; keys are `folder/name`, a folder a job.

    A write is seen whole or not at all. Locally it is also on the disk when the call returns: obstore renames into
    place but does not sync, so that is done here. A missing key raises `FileNotFoundError`; whatever else goes wrong
    is an `OSError` or obstore's `BaseError`.
    """

    def __init__(self, store: ObjectStore, *, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def open(cls, url: str) -> Blobs:
        """Open `file:///folder` (made when missing), `memory:///`, or `s3://`, `gs://`, `az://` as obstore has them."""
        parts = urlsplit(url)
        if parts.scheme == "memory":
            return cls(MemoryStore())
        if parts.scheme != "file":
            return cls(from_url(url))
        folder = Path(url2pathname(parts.path))
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(folder), folder=folder)

    def get(self, key: str) -> bytes:
        """Return the whole blob."""
        return memoryview(obstore.get(self._store, key).bytes()).tobytes()

    def put(self, key: str, content: bytes) -> None:
        """Write the whole blob."""
        obstore.put(self._store, key, content)
        self._sync(key)

    def copy(self, source: str, target: str) -> None:
        """Copy a whole blob within the store."""
        obstore.copy(self._store, source, target)
        self._sync(target)

    @asynccontextmanager
    async def writer(self, key: str) -> AsyncIterator[AsyncWritableFile]:
        """Stream a blob in; it exists once the block ends without an error, and never when it ends with one.

        Syncing to disk blocks, so it is left to `sync`, for the caller to run in a thread.
        """
        chunk = LOCAL_CHUNK if self._folder else REMOTE_CHUNK
        async with obstore.open_writer_async(self._store, key, buffer_size=chunk) as file:
            yield file

    def sync(self, key: str) -> None:
        """Make a streamed blob durable; a store that is not a local folder has done so already."""
        self._sync(key)

    async def stream(self, key: str, *, start: int, stop: int) -> AsyncIterator[bytes]:
        """Open bytes `start` (inclusive) to `stop` (exclusive) of a blob and return them as they are read."""
        found = await obstore.get_async(self._store, key, options={"range": (start, stop)})

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in found.stream():
                yield bytes(chunk)

        return chunks()

    def names(self, folder: str) -> list[str]:
        """Return the names of the blobs in one folder."""
        prefix = f"{folder}/"
        return [item["path"].removeprefix(prefix) for page in obstore.list(self._store, folder) for item in page]

    def folders(self) -> list[str]:
        """Return every folder, also one that holds only the remains of a broken upload."""
        return list(obstore.list_with_delimiter(self._store)["common_prefixes"])

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """Remove some blobs of a folder, and the folder with its last; one that is gone already is no error."""
        for name in names:
            with suppress(FileNotFoundError):
                obstore.delete(self._store, f"{folder}/{name}")
        if self._folder:
            with suppress(OSError):  # it is not empty, or gone
                (self._folder / folder).rmdir()

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with all in it, partial uploads too."""
        self.remove(folder, self.names(folder))
        if self._folder:
            shutil.rmtree(self._folder / folder, ignore_errors=True)

    def check(self) -> None:
        """Raise when the store cannot be read and written."""
        if self._folder:
            if not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(f"{self._folder} cannot be written")
            return
        with suppress(FileNotFoundError):
            obstore.head(self._store, "readiness")

    @property
    def is_local(self) -> bool:
        """Whether the blobs are in a folder of this machine's."""
        return self._folder is not None

    def room(self) -> tuple[int, int]:
        """Return the bytes that are free, and all that there are, on the disk of a local folder."""
        if self._folder is None:
            raise ValueError("only a local folder has a disk of its own")
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize

    def _sync(self, key: str) -> None:
        if self._folder is None:
            return
        path = self._folder / key
        for target in (path, path.parent, self._folder):
            descriptor = os.open(target, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

"""Blobs: bytes by key in a local folder, an object store or memory, all through obstore."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, MemoryStore

from storage.object_store import can_sign_urls, connect, connect_probe

if TYPE_CHECKING:
    from obstore import AsyncWritableFile
    from obstore.store import ObjectStore

LOCAL_CHUNK_BYTES = 1024 * 1024
REMOTE_CHUNK_BYTES = 5 * 1024 * 1024
"""Bytes that a streaming writer collects: S3 takes no smaller part of a multipart upload than 5 MiB."""
REMOTE_CONCURRENCY = 2
"""Parts that are under way while the next is collected; obstore's own 12 would hold 60 MiB for each upload."""
REMOTE_READ = 1024 * 1024
SINGLE_PUT_MAX_BYTES = 16 * 1024 * 1024
"""What is larger goes to an object store in parts: one request is not to take longer than its timeout."""


class Blobs:
    """Bytes by key; keys are `folder/name`, a folder a job.

    A write is seen whole or not at all. Locally it is also on the disk when the call returns: obstore renames into
    place but does not sync, so that is done here. A missing key raises `FileNotFoundError`; whatever else goes wrong
    is an `OSError` or obstore's `BaseError`.
    """

    def __init__(self, store: ObjectStore, *, folder: Path | None = None, probe: ObjectStore | None = None) -> None:
        self._store = store
        self._folder = folder
        self._probe = probe or store

    @classmethod
    def open(cls, url: str) -> Blobs:
        """Open `file:///folder` (made when missing), `memory:///`, or `s3://`, `gs://`, `az://` as obstore has them."""
        parts = urlsplit(url)
        if parts.scheme == "memory":
            return cls(MemoryStore())
        if parts.scheme != "file":
            return cls(connect(url), probe=connect_probe(url))
        folder = Path(url2pathname(parts.path))
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(folder), folder=folder)

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> bytes:
        """Return a blob, or its bytes from `start` (inclusive) to `stop` (exclusive)."""
        if self._folder is not None:  # straight: obstore goes through a thread and a copy
            with (self._folder / key).open("rb") as file:
                file.seek(start)
                return file.read(-1 if stop is None else stop - start)
        if stop is not None:
            return bytes(obstore.get_range(self._store, key, start=start, end=stop))
        return memoryview(obstore.get(self._store, key).bytes()).tobytes()[start:]

    def put(
        self, key: str, content: bytes, *, create_only: bool = False, attributes: Mapping[str, str] | None = None
    ) -> None:
        """Write the whole blob. With `create_only`, an existing one stays and obstore's `AlreadyExistsError` is raised.

        The attributes are headers, such as `Content-Type`, that an object store serves the blob with.
        """
        if self._folder is not None:
            if create_only and (self._folder / key).exists():
                raise AlreadyExistsError(key)
            obstore.put(self._store, key, content)
        elif len(content) > SINGLE_PUT_MAX_BYTES:  # in parts, which no store makes depend on anything
            if create_only and self._has(key):
                raise AlreadyExistsError(key)
            obstore.put(self._store, key, content, **_attribute_options(attributes), max_concurrency=REMOTE_CONCURRENCY)
        else:
            self._put_at_once(key, content, attributes, "create" if create_only else "overwrite")
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
        sizes: Any = {"buffer_size": REMOTE_CHUNK_BYTES, "max_concurrency": REMOTE_CONCURRENCY}
        if self._folder:
            sizes = {"buffer_size": LOCAL_CHUNK_BYTES}
        async with obstore.open_writer_async(self._store, key, **sizes) as file:
            yield file

    def sync(self, key: str) -> None:
        """Make a streamed blob durable; a store that is not a local folder has done so already."""
        self._sync(key)

    async def stream(self, key: str, *, start: int, stop: int) -> AsyncIterator[bytes]:
        """Open bytes `start` (inclusive) to `stop` (exclusive) of a blob and return them as they are read."""
        found = await obstore.get_async(self._store, key, options={"range": (start, stop)})

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in found.stream() if self._folder else found.stream(REMOTE_READ):
                yield bytes(chunk)

        return chunks()

    async def sign_url(self, key: str, *, method: Literal["GET", "HEAD"], seconds: float) -> str:
        """Return a URL that needs no keys, for one method and some seconds. Only where the store `can_sign_urls`."""
        await obstore.head_async(self._store, key)
        store: Any = self._store
        return await obstore.sign_async(store, method, key, timedelta(seconds=seconds))

    def list_names(self, folder: str) -> list[str]:
        """Return the names of the blobs in one folder."""
        prefix = f"{folder}/"
        return [item["path"].removeprefix(prefix) for page in obstore.list(self._store, folder) for item in page]

    def list_folders(self) -> list[str]:
        """Return every folder, also one that holds only the remains of a broken upload."""
        return list(obstore.list_with_delimiter(self._store)["common_prefixes"])

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """Remove some blobs of a folder, and the folder with its last; one that is gone already is no error."""
        keys = [f"{folder}/{name}" for name in names]
        if self._folder is None:
            self._delete(keys)
            return
        for key in keys:
            with suppress(FileNotFoundError):
                obstore.delete(self._store, key)
        with suppress(OSError):  # it is not empty, or gone
            (self._folder / folder).rmdir()

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with all in it, partial uploads too."""
        self.remove(folder, self.list_names(folder))
        if self._folder:
            shutil.rmtree(self._folder / folder, ignore_errors=True)

    def check(self) -> None:
        """Raise when a folder cannot be read and written, or an object store's bucket not be listed."""
        if self._folder:
            if not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(f"{self._folder} cannot be written")
            return
        for _ in obstore.list(self._probe, "readiness"):  # a HEAD could not tell a missing bucket from a missing key
            pass

    @property
    def is_local(self) -> bool:
        """Whether the blobs are in a folder of this machine's."""
        return self._folder is not None

    @property
    def can_sign_urls(self) -> bool:
        """Whether `sign_url` can be asked for."""
        return can_sign_urls(self._store)

    def read_disk_space(self) -> tuple[int, int]:
        """Return the bytes that are free, and all that there are, on the disk of a local folder."""
        if self._folder is None:
            raise ValueError("only a local folder has a disk of its own")
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize

    def _put_at_once(
        self, key: str, content: bytes, attributes: Mapping[str, str] | None, mode: Literal["create", "overwrite"]
    ) -> None:
        options = _attribute_options(attributes) | {"use_multipart": False}
        try:
            obstore.put(self._store, key, content, mode=mode, **options)
        except NotImplementedError:  # AWS_CONDITIONAL_PUT=disabled, for stores that refuse it
            if self._has(key):
                raise AlreadyExistsError(key) from None
            obstore.put(self._store, key, content, **options)

    def _has(self, key: str) -> bool:
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True

    def _delete(self, keys: list[str]) -> None:
        """Delete in as few requests as the store allows; Google's tells of a key that is gone and stops there."""
        if not keys:
            return
        try:
            obstore.delete(self._store, keys)
        except FileNotFoundError:
            for key in keys:
                with suppress(FileNotFoundError):
                    obstore.delete(self._store, key)

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


def _attribute_options(attributes: Mapping[str, str] | None) -> dict[str, Any]:
    return {"attributes": dict(attributes)} if attributes else {}

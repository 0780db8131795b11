"""Blobs: bytes by key in a local folder, an object store or memory, all through obstore."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore

from storage.blob_copies import BlobCopy, copy_remote, open_local
from storage.blob_writers import BlobWriter, FolderWriter, Observe, ObservedWriter
from storage.folder_pages import read_local_pages, read_remote_pages
from storage.local_files import sync, write_file
from storage.object_store import can_sign_urls, connect, connect_probe

if TYPE_CHECKING:
    from obstore.store import ObjectStore

LOCAL_CHUNK_BYTES = 1024 * 1024
REMOTE_CHUNK_BYTES = 5 * 1024 * 1024
"""Buffer of a streaming writer: S3 accepts no part of a multipart upload below 5 MiB."""
REMOTE_CONCURRENCY = 2
"""Parts that are sent while the next one is buffered. obstore's default of 12 would hold 60 MiB for each upload."""
READ_BYTES = 128 * 1024
"""Bytes in a chunk that is read. A slow client has up to four of them in memory; obstore's default is 10 MiB."""
SINGLE_PUT_MAX_BYTES = 16 * 1024 * 1024
"""Larger blobs go to an object store in parts, so that no request exceeds its timeout."""


class Blobs:
    """Bytes by key; keys are `folder/name`, one folder for each job.

    A write is atomic. In a local folder it is also on the disk when the call returns, unless a caller needs less:
    obstore renames the file into place but does not sync it, so this class does. A missing key raises
    `FileNotFoundError`; any other failure raises an `OSError` or obstore's `BaseError`. No key leads out of the store:
    a restored document may name any.
    """

    def __init__(self, store: ObjectStore, *, folder: Path | None = None, probe: ObjectStore | None = None) -> None:
        self._store = store
        self._folder = folder
        self._probe = probe or store

    @classmethod
    def open(cls, url: str) -> Blobs:
        """Open `file:///folder` (created when missing), `memory:///`, or obstore's `s3://`, `gs://` and `az://`."""
        parts = urlsplit(url)
        if parts.scheme == "memory":
            return cls(MemoryStore())
        if parts.scheme != "file":
            return cls(connect(url), probe=connect_probe(url))
        folder = Path(url2pathname(parts.path))
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(folder), folder=folder)

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> bytes:
        """Return a blob, or its bytes from `start` (inclusive) to `stop` (exclusive); fewer, if it ends before that."""
        _check_key(key)
        if self._folder is not None:  # read directly: obstore would use a thread and copy the bytes
            with open(f"{self._folder}/{key}", "rb", buffering=0) as file:  # noqa: PTH123  a Path takes longer
                file.seek(start)
                return file.read(-1 if stop is None else stop - start)
        if stop is not None:
            return self._get_range(key, start, stop)
        return memoryview(obstore.get(self._store, key).bytes()).tobytes()[start:]

    def put(
        self,
        key: str,
        content: bytes | Sequence[bytes],
        *,
        create_only: bool = False,
        attributes: Mapping[str, str] | None = None,
        durable: bool = True,
        folder_is_durable: bool = False,
    ) -> None:
        """Write the whole blob, of one or several parts. With `create_only`, raise `AlreadyExistsError` if it exists.

        The attributes are headers, such as `Content-Type`, that an object store sends with the blob. For a local folder
        only: a blob that is not `durable` is not synced, so after a power failure it may be missing, short or damaged.
        With `folder_is_durable` an earlier write to the same folder was durable, so the folder itself is on the disk.
        """
        _check_key(key)
        if self._folder is not None:
            if create_only and self.exists(key):
                raise AlreadyExistsError(key)
            parts = [content] if isinstance(content, bytes) else content
            write_file(f"{self._folder}/{key}", parts, durable=durable)  # obstore would use a thread for it
            if durable:
                self._sync_names(key, folder_is_durable=folder_is_durable)
        elif _size(content) > SINGLE_PUT_MAX_BYTES:  # in parts: no store supports conditions on these, so check first
            if create_only and self.exists(key):
                raise AlreadyExistsError(key)
            whole = content if isinstance(content, bytes) else b"".join(content)
            obstore.put(self._store, key, whole, **_attribute_options(attributes), max_concurrency=REMOTE_CONCURRENCY)
        else:
            self._put_single(key, content, attributes, "create" if create_only else "overwrite")

    @contextmanager
    def open_copy(self, key: str) -> Iterator[BlobCopy]:
        """Yield a whole blob as a file, which a removal meanwhile does not change. Memory for it is bounded.

        From an object store it is copied first, to a temporary file if it is large: the store may end a download when
        the blob is removed.
        """
        _check_key(key)
        copies = copy_remote(self._store, key) if self._folder is None else open_local(self._folder / key)
        with copies as copy:
            yield copy

    def put_chunks(self, key: str, chunks: Iterator[bytes], *, attributes: Mapping[str, str] | None = None) -> None:
        """Write a large blob in parts. An error that an iterator raises is passed on, and no blob exists then."""
        _check_key(key)
        options = {} if self._folder is not None else _attribute_options(attributes)
        obstore.put(
            self._store,
            key,
            chunks,
            **options,
            use_multipart=True,
            chunk_size=REMOTE_CHUNK_BYTES,
            max_concurrency=REMOTE_CONCURRENCY,
        )
        self._sync(key)

    def write_chunks(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write a blob as its chunks come. An error that the iterator raises is passed on, and no blob exists then.

        Unlike those of `put_chunks`, the chunks may come from an object store: obstore does not take calls from within.
        """
        _check_key(key)
        with obstore.open_writer(self._store, key, **self._writer_sizes) as file:
            for chunk in chunks:
                file.write(chunk)
        self._sync(key)

    def exists(self, key: str) -> bool:
        """Return whether there is a blob with this key."""
        if self._folder is not None:
            return _is_key(key) and (self._folder / key).is_file()
        try:
            _check_key(key)
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True

    def copy(self, source: str, target: str) -> None:
        """Copy a whole blob within the store."""
        _check_key(source)
        _check_key(target)
        obstore.copy(self._store, source, target)
        self._sync(target)

    @asynccontextmanager
    async def writer(self, key: str, *, observe: Observe | None = None) -> AsyncIterator[BlobWriter]:
        """Write a blob as a stream. It exists once the block ends without an error, and not if it ends with one.

        If the block is cancelled at its very end, the blob may exist. `observe` is called with each chunk, in their
        order, perhaps in other threads, until the block has ended.
        """
        _check_key(key)
        if self._folder is not None:
            writer = FolderWriter(self._folder / key, observe=observe, sync=partial(self._sync, key))
            async with writer.open():
                yield writer
        else:
            async with obstore.open_writer_async(self._store, key, **self._writer_sizes) as file:
                yield file if observe is None else ObservedWriter(file, observe)

    async def stream(self, key: str, *, start: int, stop: int) -> AsyncIterator[bytes]:
        """Open bytes `start` (inclusive) to `stop` (exclusive) of a blob and return an iterator over their chunks."""
        _check_key(key)
        result = await obstore.get_async(self._store, key, options={"range": (start, stop)})

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in result.stream(READ_BYTES):
                yield bytes(chunk)

        return chunks()

    async def sign_url(self, key: str, *, method: Literal["GET", "HEAD"], seconds: float) -> str:
        """Return a URL that needs no keys, for one method, valid for `seconds`. Only if the store `can_sign_urls`."""
        _check_key(key)
        await obstore.head_async(self._store, key)
        store: Any = self._store
        return await obstore.sign_async(store, method, key, timedelta(seconds=seconds))

    def list_names(self, folder: str) -> list[str]:
        """Return the names of the blobs in one folder."""
        if not _is_key(folder):
            return []
        prefix = f"{folder}/"
        return [item["path"].removeprefix(prefix) for page in obstore.list(self._store, folder) for item in page]

    def list_all_names(self, folder: str) -> list[str]:
        """Return the names of the blobs in one folder, and those of unfinished writes, such as `master.1#1`.

        Only a local folder has these: an object store keeps the parts of unfinished writes where it lists none.
        """
        if self._folder is None or not _is_key(folder):
            return self.list_names(folder)
        with suppress(FileNotFoundError):
            return [path.name for path in (self._folder / folder).iterdir()]
        return []

    def read_folder_pages(self, *, after: str = "") -> Iterator[list[str]]:
        """Yield every folder whose name sorts after `after`, page by page, in no order.

        Folders that hold only unfinished writes are among them.
        """
        if self._folder is None:
            return read_remote_pages(self._store, after=after)
        return read_local_pages(self._folder, after=after)

    def list_folders(self) -> list[str]:
        """Return every folder, all at once."""
        return list(chain.from_iterable(self.read_folder_pages()))

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """Remove blobs or unfinished writes of a folder, and the folder when it is empty.

        A name that does not exist is no error.
        """
        keys = [key for key in (f"{folder}/{name}" for name in names) if _is_key(key)]
        if self._folder is None:
            self._delete(keys)
            return
        for key in keys:
            with suppress(FileNotFoundError):
                (self._folder / key).unlink()
        if _is_key(folder):
            with suppress(OSError):  # the folder is not empty, or does not exist
                (self._folder / folder).rmdir()

    def remove_folder(self, folder: str) -> None:
        """Remove a folder and everything in it, partial uploads too."""
        self.remove(folder, self.list_names(folder))
        if self._folder and _is_key(folder):
            shutil.rmtree(self._folder / folder, ignore_errors=True)

    def check(self) -> None:
        """Raise when the local folder cannot be read and written, or the object store's bucket cannot be listed."""
        if self._folder:
            if not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(f"{self._folder} cannot be written")
            return
        for _ in obstore.list(self._probe, "readiness"):  # a HEAD could not tell a missing bucket from a missing key
            pass

    @property
    def is_local(self) -> bool:
        """Whether the blobs are in a folder of this machine."""
        return self._folder is not None

    @property
    def can_sign_urls(self) -> bool:
        """Whether the store supports `sign_url`."""
        return can_sign_urls(self._store)

    def read_disk_space(self) -> tuple[int, int]:
        """Return the free bytes and the total bytes of the disk that holds the local folder."""
        if self._folder is None:
            raise ValueError("only a local folder has a disk")
        disk = os.statvfs(self._folder)
        return count_free_bytes(disk), disk.f_blocks * disk.f_frsize

    @property
    def _writer_sizes(self) -> Any:
        if self._folder:
            return {"buffer_size": LOCAL_CHUNK_BYTES}
        return {"buffer_size": REMOTE_CHUNK_BYTES, "max_concurrency": REMOTE_CONCURRENCY}

    def _get_range(self, key: str, start: int, stop: int) -> bytes:
        try:
            return bytes(obstore.get_range(self._store, key, start=start, end=stop))
        except BaseError:
            if obstore.head(self._store, key)["size"] > start:
                raise
            return b""  # stores refuse a range behind the end

    def _put_single(
        self,
        key: str,
        content: bytes | Sequence[bytes],
        attributes: Mapping[str, str] | None,
        mode: Literal["create", "overwrite"],
    ) -> None:
        options = _attribute_options(attributes) | {"use_multipart": False}
        try:
            obstore.put(self._store, key, content, mode=mode, **options)
        except NotImplementedError:  # AWS_CONDITIONAL_PUT=disabled, for stores without conditional writes
            if self.exists(key):
                raise AlreadyExistsError(key) from None
            obstore.put(self._store, key, content, **options)

    def _delete(self, keys: list[str]) -> None:
        """Delete keys in as few requests as the store allows.

        Google's store stops with an error at a key that does not exist, so the rest is then deleted one by one.
        """
        if not keys:
            return
        try:
            obstore.delete(self._store, keys)
        except FileNotFoundError:
            for key in keys:
                with suppress(FileNotFoundError):
                    obstore.delete(self._store, key)

    def _sync(self, key: str) -> None:
        """Sync what obstore has written: it renames a file into place, but syncs nothing."""
        if self._folder is not None:
            sync(f"{self._folder}/{key}")
            self._sync_names(key)

    def _sync_names(self, key: str, *, folder_is_durable: bool = False) -> None:
        """Sync the name of a file in its folder, and that of the folder, unless it is on the disk already."""
        path = f"{self._folder}/{key}"
        sync(path.rpartition("/")[0])
        if not folder_is_durable:
            sync(str(self._folder))


def count_free_bytes(disk: os.statvfs_result) -> int:
    """Return the bytes that a disk still takes, and no larger share of them than of its files: each takes an inode."""
    free = disk.f_bavail * disk.f_frsize
    if not disk.f_files:  # the file system has no such limit
        return free
    return min(free, disk.f_blocks * disk.f_frsize * disk.f_favail // disk.f_files)


def _is_key(key: str) -> bool:
    """Whether a key names something in the store, and neither the store itself nor a place outside."""
    return "\0" not in key and not {"", ".", ".."} & set(key.split("/"))


def _check_key(key: str) -> None:
    if not _is_key(key):
        raise FileNotFoundError(errno.ENOENT, "No blob can have this key", key)


def _size(content: bytes | Sequence[bytes]) -> int:
    return len(content) if isinstance(content, bytes) else sum(map(len, content))


def _attribute_options(attributes: Mapping[str, str] | None) -> dict[str, Any]:
    return {"attributes": dict(attributes)} if attributes else {}

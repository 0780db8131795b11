"""Objects of the buckets that clients name: read as they are now, or copied by their store to a blob."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore

from storage.object_store import connect

if TYPE_CHECKING:
    from obstore.store import ObjectStore

READ_BYTES = 256 * 1024
MISSING_ERRORS = (FileNotFoundError, PermissionDeniedError, UnauthenticatedError)
"""The object does not exist, or may not be read: some stores answer the one for the other."""
STORE_ERRORS = (BaseError, OSError)
"""All errors of this module."""


@dataclass(frozen=True, slots=True)
class SourceObject:
    """An object: the address of its bucket, or of a folder in it, what opens that, its key there and its version."""

    url: str
    options: Mapping[str, str] = field(repr=False)
    key: str
    version: str | None = None


@contextmanager
def open_object(item: SourceObject) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Yield the size of an object and its content in chunks, both of one version of it. Raises `STORE_ERRORS`.

    obstore itself goes on where a connection breaks, if the object is still the same.
    """
    store = _open_bucket(item)
    options: Any = {} if item.version is None else {"version": item.version}
    try:
        result = obstore.get(store, item.key, options=options)
    except ValueError as error:  # a key that obstore cannot name, such as one with an empty part
        raise FileNotFoundError(errno.ENOENT, "No object can have this key") from error
    yield result.meta["size"], map(bytes, result.stream(READ_BYTES))


def can_copy_within_store(item: SourceObject, blob_url: str) -> bool:
    """Whether an object is in the bucket of the blobs, opened by the same keys, and not an earlier version."""
    source, blobs = urlsplit(item.url), urlsplit(blob_url)
    is_same_bucket = source.scheme != "file" and (source.scheme, source.netloc) == (blobs.scheme, blobs.netloc)
    return is_same_bucket and not item.options and item.version is None


def read_size(item: SourceObject) -> int:
    """Return the size of the current version of an object. Raises `STORE_ERRORS`."""
    return int(obstore.head(_open_bucket(item), item.key)["size"])


def copy_within_store(item: SourceObject, blob_url: str, blob_key: str) -> None:
    """Have the store copy an object that `can_copy_within_store` to a blob. Raises `STORE_ERRORS`."""
    parts = urlsplit(blob_url)
    bucket = connect(f"{parts.scheme}://{parts.netloc}")
    obstore.copy(bucket, _path_in_bucket(item.url, item.key), _path_in_bucket(blob_url, blob_key))


def _path_in_bucket(url: str, key: str) -> str:
    return f"{urlsplit(url).path.strip('/')}/{key}".lstrip("/")


def _open_bucket(item: SourceObject) -> ObjectStore:
    """Connect to a bucket, or open a local folder. The message of the error has no option in it."""
    if urlsplit(item.url).scheme == "file":
        return _open_folder(Path(url2pathname(urlsplit(item.url).path)), item.key)
    try:
        return connect(item.url, options=item.options)
    except ValueError:
        raise OSError(errno.EINVAL, "The options of a source are not valid") from None


def _open_folder(folder: Path, key: str) -> LocalStore:
    if not (folder / key).resolve().is_relative_to(folder.resolve()):  # a link that leads out
        raise FileNotFoundError(errno.ENOENT, "Not below the folder")
    return LocalStore(folder)

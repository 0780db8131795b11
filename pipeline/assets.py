"""The image files that steps name, read when a step asks for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from storage.blobs import Blobs
from storage.documents import asset_key

CACHED_ASSETS = 4
"""How many a process keeps: a preset has one or two, and its photos come one after the other."""


class Assets(Mapping[str, bytes]):
    """The bytes of each image file that a job's definitions name, by its name."""

    def __init__(self, blobs: Blobs, digests: Mapping[str, str]) -> None:
        self._blobs = blobs
        self._digests = digests

    def __getitem__(self, name: str) -> bytes:
        """Return the bytes. Raises KeyError for another name, and FileNotFoundError if the bytes are gone."""
        return _read(self._blobs, self._digests[name])

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._digests)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._digests)


@lru_cache(maxsize=CACHED_ASSETS)
def _read(blobs: Blobs, digest: str) -> bytes:
    return blobs.get(asset_key(digest))

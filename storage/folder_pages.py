"""The folders of a blob store, page by page: a store may have millions of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

import obstore

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PAGE = 1000
"""Folders in a page, and keys in one answer of an object store."""


def read_local_pages(root: Path, *, after: str) -> Iterator[list[str]]:
    """Yield the folders in a local folder whose names sort after `after`, in no order."""
    with os.scandir(root) as entries:
        yield from _paginate(
            entry.name for entry in entries if entry.name > after and entry.is_dir(follow_symlinks=False)
        )


def read_remote_pages(store: ObjectStore, *, after: str) -> Iterator[list[str]]:
    """Yield the folders of the keys that sort after `after`.

    Keys are listed, not folders: obstore returns all folders of a store at once.
    """
    pages = obstore.list(store, offset=after or None, chunk_size=PAGE)
    keys = (item["path"] for page in pages for item in page)
    folders = groupby(key.partition("/")[0] for key in keys if "/" in key)
    yield from _paginate(folder for folder, _ in folders if folder > after)


def _paginate(names: Iterator[str]) -> Iterator[list[str]]:
    while page := list(islice(names, PAGE)):
        yield page

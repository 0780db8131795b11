"""What a worker's child holds: its settings and its stores, opened once in the child and never in its parent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.ledger import Ledger
from storage.stores import open_worker_stores


@dataclass(frozen=True, slots=True)
class Child:
    """One worker child's belongings."""

    settings: Settings
    ledger: Ledger
    blobs: Blobs


_current: list[Child] = []


def current() -> Child:
    """Return what this process holds; an error outside a worker's child."""
    if not _current:
        msg = "stages run in a worker's child only"
        raise RuntimeError(msg)
    return _current[-1]


@contextmanager
def open_child(settings: Settings) -> Iterator[Child]:
    """Open the stores and make them `current` until the block ends."""
    with open_worker_stores(
        mongo_url=settings.mongo_url,
        blob_url=settings.blob_url,
        timeout_ms=int(settings.mongo_timeout * 1000),
        patience_ms=int(settings.sweeper.patience * 1000),
    ) as stores:
        child = Child(settings, stores.ledger, stores.blobs)
        _current.append(child)
        try:
            yield child
        finally:
            _current.remove(child)

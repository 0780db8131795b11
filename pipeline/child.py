"""What a worker's child holds: its settings, its metrics, and its stores, opened in it and never in its parent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pipeline.metrics import StageMetrics
from pipeline.notifications import Notifications
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.ledger import Ledger
from storage.stores import WorkerStores, open_worker_stores


class Child:
    """One worker child's belongings.

    The stores are opened when they are first asked for, and asked for again when that fails: a child born while they
    are away retries its work, as any other does, and is whole once they are back.
    """

    def __init__(self, settings: Settings, metrics: StageMetrics, resources: ExitStack) -> None:
        self.settings = settings
        self.metrics = metrics
        self.notifications = Notifications(settings.redis_url)
        resources.callback(self.notifications.close)
        self._resources = resources
        self._stores: WorkerStores | None = None

    @property
    def ledger(self) -> Ledger:
        """The job documents. Raises one of `storage.errors.TRANSIENT` while the stores cannot be opened."""
        return self._opened().ledger

    @property
    def blobs(self) -> Blobs:
        """The blobs. Raises as `ledger` does."""
        return self._opened().blobs

    def _opened(self) -> WorkerStores:
        if self._stores is None:
            settings = self.settings
            self._stores = self._resources.enter_context(
                open_worker_stores(
                    mongo_url=settings.mongo_url,
                    blob_url=settings.blob_url,
                    timeout_ms=int(settings.mongo_timeout * 1000),
                    patience_ms=int(settings.sweeper.patience * 1000),
                )
            )
        return self._stores


_current: list[Child] = []


def current() -> Child:
    """Return what this process holds; an error outside a worker's child."""
    if not _current:
        msg = "stages run in a worker's child only"
        raise RuntimeError(msg)
    return _current[-1]


@contextmanager
def child_life(settings: Settings, metrics: StageMetrics) -> Iterator[Child]:
    """Be a worker's child until the block ends: `current` returns what it holds."""
    with ExitStack() as resources:
        child = Child(settings, metrics, resources)
        _current.append(child)
        try:
            yield child
        finally:
            _current.remove(child)

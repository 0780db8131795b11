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


class WorkerChild:
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
        """The job documents. Raises one of `storage.errors.TRANSIENT_ERRORS` while the stores cannot be opened."""
        return self._open_stores().ledger

    @property
    def blobs(self) -> Blobs:
        """The blobs. Raises as `ledger` does."""
        return self._open_stores().blobs

    def _open_stores(self) -> WorkerStores:
        if self._stores is None:
            settings = self.settings
            self._stores = self._resources.enter_context(
                open_worker_stores(
                    mongo_url=settings.mongo_url,
                    blob_url=settings.blob_url,
                    timeout_ms=int(settings.mongo_timeout * 1000),
                    stall_timeout_ms=int(settings.sweeper.patience * 1000),
                )
            )
        return self._stores


_current: list[WorkerChild] = []


def current_worker_child() -> WorkerChild:
    """Return what this process holds; an error outside a worker's child."""
    if not _current:
        msg = "stages run in a worker's child only"
        raise RuntimeError(msg)
    return _current[-1]


@contextmanager
def open_worker_child(settings: Settings, metrics: StageMetrics) -> Iterator[WorkerChild]:
    """Be a worker's child until the block ends: `current_worker_child` returns what it holds."""
    with ExitStack() as resources:
        child = WorkerChild(settings, metrics, resources)
        _current.append(child)
        try:
            yield child
        finally:
            _current.remove(child)

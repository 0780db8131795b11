"""The resources of a worker child: settings, metrics, notifications and stores, opened in the child after the fork."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import structlog

from pipeline.direct_task import publish_directly
from pipeline.metrics import StageMetrics
from pipeline.notifications import Notifications
from pipeline.operations import check_job
from pipeline.outbound.client import OutboundClient
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.clock import DATABASE_CLOCK
from storage.delivery_ledger import DeliveryLedger
from storage.errors import UnreadableDocument
from storage.ledger import Ledger
from storage.stores import WorkerStores, open_worker_stores

log = structlog.get_logger("webhooks")


class WorkerChild:
    """The resources of one worker child.

    The stores are opened at first use, and again at the next use when that fails. So a child that starts during an
    outage retries its work like any other, and has its stores once the outage is over.
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
        """The job documents. Raises one of `storage.errors.TRANSIENT_ERRORS` while the stores cannot be opened.

        The clock by which they are written has been measured, a short time ago.
        """
        return self._measured_stores().ledger

    @property
    def deliveries(self) -> DeliveryLedger:
        """Webhooks and their deliveries. Raises as `ledger` does."""
        return self._measured_stores().deliveries

    @property
    def blobs(self) -> Blobs:
        """The blobs. Raises as `ledger` does."""
        return self._open_stores().blobs

    @cached_property
    def outbound(self) -> OutboundClient:
        """The way out to hosts that clients name."""
        return OutboundClient(self.settings.outbound)

    def _measured_stores(self) -> WorkerStores:
        stores = self._open_stores()
        if DATABASE_CLOCK.is_due:
            stores.measure_clock()
            self.metrics.clock.observe_skew(DATABASE_CLOCK.skew_seconds)
        return stores

    def _open_stores(self) -> WorkerStores:
        if self._stores is None:
            settings = self.settings
            self._stores = self._resources.enter_context(
                open_worker_stores(
                    mongo_url=settings.mongo_url,
                    blob_url=settings.blob_url,
                    timeout_ms=int(settings.mongo_timeout * 1000),
                    stall_timeout_ms=int(settings.sweeper.patience * 1000),
                    check_job=check_job,
                    report_unsendable=_log_unreadable,
                )
            )
        return self._stores


def _log_unreadable(error: UnreadableDocument) -> None:
    log.warning("webhook.unreadable", document_id=str(error))


def _publishing_options(settings: Settings) -> dict[str, Any]:
    broker = settings.broker
    return {
        "socket_timeout": broker.socket_timeout,
        "socket_connect_timeout": broker.connect_timeout,
        "socket_keepalive": True,
        "health_check_interval": broker.health_check_interval,
    }


_current: list[WorkerChild] = []


def current_worker_child() -> WorkerChild:
    """Return the resources of this process. Raises `RuntimeError` outside a worker child."""
    if not _current:
        msg = "stages run only in a worker child"
        raise RuntimeError(msg)
    return _current[-1]


@contextmanager
def open_worker_child(settings: Settings, metrics: StageMetrics) -> Iterator[WorkerChild]:
    """Open the resources of this worker child for `current_worker_child`; close them when the block ends."""
    with ExitStack() as resources:
        child = WorkerChild(settings, metrics, resources)
        if not settings.broker_url:
            resources.enter_context(publish_directly(settings.redis_url, **_publishing_options(settings)))
        _current.append(child)
        try:
            yield child
        finally:
            _current.remove(child)

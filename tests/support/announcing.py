"""An announcer as gateways have it, for those who need one beside what they are about."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from gateway.webhooks.announcer import Announcer
from gateway.webhooks.metrics import EventMetrics
from pipeline.settings import Settings
from storage.stores import Stores


def new_announcer(stores: Stores, settings: Settings | None = None) -> Announcer:
    """Return an announcer over these stores, whose loop does not run."""
    return Announcer(stores, settings or Settings(), EventMetrics(CollectorRegistry()))

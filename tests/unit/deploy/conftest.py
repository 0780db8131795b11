"""Every metric that the code exports, with its labels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from deploy.backup.metrics import BackupMetrics
from gateway.gauge_updater import GaugeUpdater
from gateway.metrics import GatewayMetrics
from pipeline.exporter import PoolCollector
from pipeline.metrics import StageMetrics
from pipeline.settings import Settings
from storage.blobs import Blobs
from tests.support.fakes import FakeJobs, FakeQueues, FakeStores
from tests.support.prometheus_config import EXPORTER_METRICS, PROMETHEUS_METRICS, rules

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
SCRAPE_LABELS = {"job", "instance", "pool"}


@pytest.fixture(scope="session")
def exported_labels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of every metric of the gateway and of the workers, and of the records made of them."""
    stores = FakeStores(FakeJobs(), Blobs.open(tmp_path_factory.mktemp("blobs").as_uri()))
    gateway, worker = GatewayMetrics().registry, CollectorRegistry()
    GaugeUpdater(gateway, stores, FakeQueues(), Settings())
    _ = StageMetrics(worker).webhooks  # they are registered when they are first used
    BackupMetrics(worker)
    worker.register(PoolCollector(["resize"]))
    found = {name: set(labels) for name, labels in (PROMETHEUS_METRICS | EXPORTER_METRICS).items()}
    for registry in (gateway, worker):
        found |= dict(_series(registry))
    found["darkroom_worker_child_lost_total"] = {"queue", *SCRAPE_LABELS}
    return found | {rule["record"]: _labels_of_record(rule["record"]) for rule in rules() if "record" in rule}


def _series(registry: CollectorRegistry) -> Iterator[tuple[str, set[str]]]:
    for collector in registry._collector_to_names:
        for name, kind, labels in _described(collector):
            for suffix in SUFFIXES[kind]:
                yield name + suffix, labels | SCRAPE_LABELS | ({"le"} if suffix == "_bucket" else set())


def _described(collector: Collector) -> Iterator[tuple[str, str, set[str]]]:
    if isinstance(collector, MetricWrapperBase):
        yield collector._name, str(collector._type), set(collector._labelnames)
        return
    for family in collector.collect():
        yield family.name, family.type, {label for sample in family.samples for label in sample.labels}


def _labels_of_record(name: str) -> set[str]:
    level = name.split(":", maxsplit=1)[0]
    return set() if level == "darkroom" else set(level.split("_"))

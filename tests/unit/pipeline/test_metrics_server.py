"""The HTTP server of a worker's metrics."""

from __future__ import annotations

import threading
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, Counter

from pipeline.metrics_server import MetricsServer


def test_it_serves_the_registry_until_it_is_closed() -> None:
    registry = CollectorRegistry()
    Counter("photos", "Photos.", registry=registry).inc()
    server = MetricsServer("127.0.0.1", 0, registry)
    url = f"http://127.0.0.1:{server.port}/metrics"

    with urlopen(url) as answer:
        body = answer.read().decode()
    server.close()

    assert "photos_total 1.0" in body
    assert "metrics" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(OSError, match="refused"):
        urlopen(url)


def test_a_port_in_use_is_an_error() -> None:
    server = MetricsServer("127.0.0.1", 0, CollectorRegistry())

    with pytest.raises(OSError, match="in use"):
        MetricsServer("127.0.0.1", server.port, CollectorRegistry())

    server.close()

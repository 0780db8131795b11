"""What the processes of a stack show to Prometheus."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.stack import Stack
from tests.support.http_options import HTTP_OPTIONS

Labels = tuple[tuple[str, str], ...]
Samples = dict[tuple[str, Labels], float]


def scrape(stack: Stack, process: str) -> Samples:
    """Return what a process shows: by name without the prefix, and labels."""
    text = httpx.get(stack.metrics_urls[process], timeout=10, **HTTP_OPTIONS).raise_for_status().text
    return {
        (sample.name.removeprefix("darkroom_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

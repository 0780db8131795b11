"""What being watched costs: workers that count and are scraped, beside workers that do neither."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from statistics import median
from typing import Any

import httpx

from deploy.local.processes import Process
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.systems import POOLS, UNLIMITED, Darkroom, OwnStack

JOBS, ROUNDS = 100, 8
SCRAPE_SECONDS = 15.0  # as deploy/prometheus/prometheus.yml asks


class StackWithoutMetrics(OwnStack):
    """A stack whose workers have no exporter, so that their children count for nobody."""

    def _processes(self, **wanted: Any) -> list[Process]:
        self._metrics_ports = dict.fromkeys(self._metrics_ports, 0)
        return super()._processes(**wanted)


def run(bench: Bench) -> Figures:
    """Drive both in turn, each first as often as the other, and compare within a pair."""
    photos, jobs = bench.corpus.photos("12mp"), bench.jobs(JOBS)
    pairs = []
    with ExitStack() as resources:
        counted = resources.enter_context(_running(bench, OwnStack))
        bare = resources.enter_context(_running(bench, StackWithoutMetrics))
        for number in range(bench.options.rounds or ROUNDS):
            samples = {}
            for system in (counted, bare) if number % 2 else (bare, counted):
                with _scraped(system.stack) if system is counted else ExitStack():
                    samples[system] = run_load(system, photos, jobs=jobs, in_flight=bench.options.in_flight)
            pairs.append((samples[counted], samples[bare]))
    rates = [watched.rate / unwatched.rate for watched, unwatched in pairs]
    costs = [watched.cpu_ms / unwatched.cpu_ms for watched, unwatched in pairs]
    rows = [("jobs a second", *rates, median(rates)), ("CPU a job", *costs, median(costs))]
    bench.show("watched to unwatched", ["", *(f"pair {number + 1}" for number in range(len(pairs))), "median"], rows)
    return {"rates": rates, "cpu": costs, "rate": median(rates), "cpu_median": median(costs)}


@contextmanager
def _running(bench: Bench, kind: type[OwnStack]) -> Iterator[Darkroom]:
    with (
        kind(bench.folder("metrics"), pools=POOLS, environment=UNLIMITED) as stack,
        closing(Darkroom(stack)) as system,
    ):
        yield system


@contextmanager
def _scraped(stack: OwnStack) -> Iterator[None]:
    """Read every exporter as Prometheus would, until the block ends."""
    over = threading.Event()

    def scrape() -> None:
        with httpx.Client(**HTTP_CLIENT_OPTIONS) as client:
            while True:
                for url in stack.metrics_urls.values():
                    client.get(url).raise_for_status()
                if over.wait(SCRAPE_SECONDS):
                    return

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()

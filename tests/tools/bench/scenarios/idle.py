"""One photo at a time on an idle machine: how long a person waits, with Darkroom and with the peers in turn."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from tests.tools.bench import peer
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.latency import Latencies, describe_clients, measure_latencies
from tests.tools.bench.rounds import compare
from tests.tools.bench.sample import stage_times
from tests.tools.bench.scenarios.race import start_peers
from tests.tools.bench.services import start_darkroom
from tests.tools.bench.systems import System

JOBS = 30
SIZES = ("12mp", "2mp")
TIMES = ("done p50 ms", "done p95 ms", "first preview p50 ms", "first preview p95 ms")
SEEN = ("seen: done p50 ms", "seen: first preview p50 ms")


def run(bench: Bench) -> Figures:
    """Send photos of 12 and of 2 megapixels one by one, and note the first preview and the end."""
    found: Figures = {}
    with ExitStack() as resources:
        systems: list[System] = [resources.enter_context(start_darkroom(bench, "idle"))]
        systems += start_peers(bench, resources, peer.TUNINGS)
        for size in SIZES:
            latencies = measure_latencies(systems, bench.corpus.photos(size), jobs=bench.jobs(JOBS))
            found[size] = _describe(latencies)
            _show(bench, size, latencies)
        found["clients"] = describe_clients(systems)
    for name, client in found["clients"].items():
        bench.say(f"{name}: a client watches {client}.")
    return found


def _describe(latencies: Mapping[str, Latencies]) -> dict[str, Any]:
    """Return what Darkroom did, and beside it each system and the ratios."""
    own, *others = latencies
    first = latencies[own]
    figures = {name: each.figures() for name, each in latencies.items()}
    return {
        "cpu_ms": sum(first.cpu_by_process.values()),
        "cpu_ms_by_process": first.cpu_by_process,
        "stages": stage_times(each.answer for each in first.ended),
        "p50_ms": figures[own]["done p50 ms"],
        "p95_ms": figures[own]["done p95 ms"],
        "first_preview_p50_ms": figures[own]["first preview p50 ms"],
        "first_preview_p95_ms": figures[own]["first preview p95 ms"],
        "systems": figures,
        "ratios": {other: _ratios(figures, own, other) for other in others},
    }


def _ratios(figures: Mapping[str, Mapping[str, float]], own: str, other: str) -> dict[str, float | None]:
    compared = compare([figures], own, other)
    return {name: compared[name].median for name in (*TIMES, *SEEN)}


def _show(bench: Bench, size: str, latencies: Mapping[str, Latencies]) -> None:
    own, *others = latencies
    figures = {name: each.figures() for name, each in latencies.items()}
    stages = stage_times(each.answer for each in latencies[own].ended)
    waits = [(name, times["wait_ms"], times["run_ms"]) for name, times in stages.items()]
    bench.show(f"{size}: stages, medians", ["", "waits ms", "runs ms"], waits)
    bench.show(f"{size}: CPU", ["", "ms/job"], [(n, ms) for n, ms in latencies[own].cpu_by_process.items() if ms])
    headings = ["from the first byte sent, one at a time", *latencies, *(f"{own} to {other}" for other in others)]
    ratios = {other: _ratios(figures, own, other) for other in others}
    rows = [
        (name, *(figures[system][name] for system in latencies), *(ratios[other][name] for other in others))
        for name in (*TIMES, *SEEN)
    ]
    bench.show(size, headings, rows)

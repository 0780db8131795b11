"""One photo at a time on an idle stack: how long a person waits."""

from __future__ import annotations

from statistics import median

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.sample import p95
from tests.tools.bench.systems import run_darkroom

JOBS = 30


def run(bench: Bench) -> Figures:
    """Send photos of 12 and of 2 megapixels one by one, and note the first preview and the end."""
    found: Figures = {}
    rows = []
    with run_darkroom(bench.folder("idle")) as system:
        for name in ("12mp", "2mp"):
            sample = run_load(system, bench.corpus.photos(name), jobs=bench.jobs(JOBS), in_flight=1)
            first = [each.first_preview_ms for each in sample.ended]
            found[name] = sample.figures() | {"first_preview_p50_ms": median(first), "first_preview_p95_ms": p95(first)}
            rows.append((name, sample.p50_ms, sample.p95_ms, median(first), p95(first), sample.cpu_ms))
            bench.show_costs(name, sample)
    headings = ["", "done p50 ms", "p95", "first preview p50 ms", "p95", "CPU ms/job"]
    bench.show("from the first byte sent, one at a time", headings, rows)
    return found

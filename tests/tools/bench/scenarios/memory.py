"""Memory of each process: fresh, and after photos of 12 and 24 megapixels have gone through it."""

from __future__ import annotations

from tests.tools.bench import usage
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.sample import MIB
from tests.tools.bench.systems import Darkroom, run_darkroom

JOBS = 80


def run(bench: Bench) -> Figures:
    """Measure, drive, and measure again."""
    with run_darkroom(bench.folder("memory")) as system:
        before = _memory(system)
        for name, share in (("12mp", 2), ("24mp", 4)):
            jobs = max(1, bench.jobs(JOBS) // share)
            run_load(system, bench.corpus.photos(name), jobs=jobs, in_flight=bench.options.in_flight)
        after = _memory(system)
    headings = ["", "processes", "RSS MiB idle", "after load", "PSS MiB idle", "after load"]
    rows: list[tuple[str, int, float, float, float, float]] = [
        (name, count, before[name][1], rss, before[name][2], pss)
        for name, (count, rss, pss) in after.items()
        if name in before
    ]
    total = ["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])]
    bench.show("memory (PSS divides shared pages among those that share them)", headings, [*rows, total])
    return {
        "idle": {name: {"rss_mib": rss, "pss_mib": pss} for name, (_, rss, pss) in before.items()},
        "after": {name: {"rss_mib": rss, "pss_mib": pss} for name, (_, rss, pss) in after.items()},
    }


def _memory(system: Darkroom) -> dict[str, tuple[int, float, float]]:
    """Return each process group's number of processes, and their memory in MiB: resident, and proportional."""
    found = {}
    for name, pid in system.pids().items():
        pids = [pid, *system.stack.children(name)]
        proportional = sum(map(usage.proportional_bytes, pids))
        found[name] = (len(pids), round(usage.resident_bytes(pid) / MIB, 1), round(proportional / MIB, 1))
    return found

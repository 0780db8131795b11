"""Memory of each process: fresh, and after photos of 12 and 24 megapixels have gone through it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.process_groups import ALL, Memory, add_groups, read_memory
from tests.tools.bench.systems import System, run_darkroom

JOBS = 80
REST_SECONDS = 12.0
LATER = f"{REST_SECONDS:.0f} s later"
MOMENTS = ("idle", "after", "rested")
GOAL_MIB = 450  # PSS of all processes after load, with the default pools
LOAD = (("12mp", 2), ("24mp", 4))
"""The photos, and the share of the jobs that they are."""


def run(bench: Bench) -> Figures:
    """Measure, drive, and measure again: at once, and once the processes have given back what they hold no longer."""
    with run_darkroom(bench.folder("memory")) as system:
        before = read_memory(system)
        drive(bench, system)
        after = read_memory(system)
        time.sleep(REST_SECONDS)
        rested = read_memory(system)
    headings = ["", "processes", "RSS MiB idle", "after load", "PSS MiB idle", "after load", LATER]
    rows = [
        (name, each.processes, before[name].rss, each.rss, before[name].pss, each.pss, rested[name].pss)
        for name, each in after.items()
        if name in before
    ]
    bench.show("memory (PSS divides shared pages among those that share them)", headings, rows)
    moments = [pss_groups(before), pss_groups(after), pss_groups(rested)]
    groups = {name: [each[name] for each in moments] for name in moments[0]}
    bench.show("PSS by purpose", ["", "MiB idle", "after load", LATER], [(name, *mib) for name, mib in groups.items()])
    total = groups[ALL][-1]
    bench.say(f"PSS of all {LATER}: {total:.0f} MiB, {total / GOAL_MIB:.2f} times the goal of {GOAL_MIB} MiB.")
    return {
        "idle": {name: {"rss_mib": each.rss, "pss_mib": each.pss} for name, each in before.items()},
        "after": {name: {"rss_mib": each.rss, "pss_mib": each.pss} for name, each in after.items()},
        "rested": {name: {"rss_mib": each.rss, "pss_mib": each.pss} for name, each in rested.items()},
        "pss_mib_by_group": {name: dict(zip(MOMENTS, mib, strict=True)) for name, mib in groups.items()},
        "goal_mib": GOAL_MIB,
    }


def drive(bench: Bench, system: System) -> None:
    """Send the photos after which memory is measured."""
    for name, share in LOAD:
        jobs = max(1, bench.jobs(JOBS) // share)
        run_load(system, bench.corpus.photos(name), jobs=jobs, in_flight=bench.options.in_flight)


def pss_groups(memory: Mapping[str, Memory]) -> dict[str, float]:
    """Return the PSS of stores, gateway and workers, their sum, and that of the supervisor apart from it."""
    return add_groups({name: each.pss for name, each in memory.items()})

"""Memory of each process: fresh, and after photos of 12 and 24 megapixels have gone through it."""

from __future__ import annotations

from collections.abc import Mapping

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.process_groups import Memory, add_groups, read_memory
from tests.tools.bench.systems import System, run_darkroom

JOBS = 80
GOAL_MIB = 450  # PSS of all processes after load, with the default pools
LOAD = (("12mp", 2), ("24mp", 4))
"""The photos, and the share of the jobs that they are."""


def run(bench: Bench) -> Figures:
    """Measure, drive, and measure again."""
    with run_darkroom(bench.folder("memory")) as system:
        before = read_memory(system)
        drive(bench, system)
        after = read_memory(system)
    headings = ["", "processes", "RSS MiB idle", "after load", "PSS MiB idle", "after load"]
    rows = [
        (name, each.processes, before[name].rss, each.rss, before[name].pss, each.pss)
        for name, each in after.items()
        if name in before
    ]
    bench.show("memory (PSS divides shared pages among those that share them)", headings, rows)
    groups = {name: (pss_groups(before)[name], mib) for name, mib in pss_groups(after).items()}
    bench.show("PSS by purpose", ["", "MiB idle", "after load"], [(name, *pair) for name, pair in groups.items()])
    total = groups["all"][1]
    bench.say(f"PSS of all after load: {total:.0f} MiB, {total / GOAL_MIB:.2f} times the goal of {GOAL_MIB} MiB.")
    return {
        "idle": {name: {"rss_mib": each.rss, "pss_mib": each.pss} for name, each in before.items()},
        "after": {name: {"rss_mib": each.rss, "pss_mib": each.pss} for name, each in after.items()},
        "pss_mib_by_group": {name: {"idle": idle, "after": loaded} for name, (idle, loaded) in groups.items()},
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

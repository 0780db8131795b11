"""A stack to which nobody comes: the CPU that each of its processes uses, fresh and after some jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.process_groups import add_groups, measure_still_cpu
from tests.tools.bench.systems import System, run_darkroom

SETTLE_SECONDS = 3.0
JOBS = 20


def run(bench: Bench) -> Figures:
    """Measure twice."""
    with run_darkroom(bench.folder("still")) as system:
        fresh = measure_still(bench, [system])[system.name]
        run_load(system, bench.corpus.photos("2mp"), jobs=bench.jobs(JOBS), in_flight=bench.options.in_flight)
        after = measure_still(bench, [system])[system.name]
    rows = [(name, fresh.get(name), percent) for name, percent in after.items()]
    bench.show(f"{bench.options.still:.0f} s without work: % of a core", ["", "fresh", "after some jobs"], rows)
    return {"percent_of_a_core": {"fresh": fresh, "after": after}, "seconds": bench.options.still}


def measure_still(bench: Bench, systems: Sequence[System]) -> Mapping[str, dict[str, float]]:
    """Let what was sent come to rest, and return the percents of a core of each process and each group."""
    measure_still_cpu(systems, SETTLE_SECONDS)
    found = measure_still_cpu(systems, bench.options.still)
    return {name: each | add_groups(each) for name, each in found.items()}

"""Pools, nodes and servers for a rate, worked out from the figures of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.tools.bench import comparison_tables, scaling_tables
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.queueing import (
    Stage,
    capacity,
    count_nodes,
    mean_wait,
    offered_load,
    size_pool,
    square_root_staffing,
    stages_from_cpu_ms,
)
from tests.tools.bench.scaling_tables import Table
from tests.tools.bench.simulation import Simulation
from tests.tools.bench.systems import POOLS

TASKS = {"validate": 1, "normalize": 1, "resize": 3, "finalize": 1}
SERVERS = ("gateway", "redis", "mongo")
FACTORS = (1, 10, 100, 10_000)
ON_PERFORMANCE = ("race", "peers")
"""The tables of a comparison that are in PERFORMANCE.md; the others are in SCALING.md."""
LEVELS, SIMULATED = (0.5, 0.7, 0.9), 40_000


def run(bench: Bench) -> Figures:
    """Print what the formulas say, and what a simulation says of the formulas; with `--write`, into the document."""
    figures = _figures(bench.options.json)
    source, sample = _sample(figures)
    cores = bench.options.cores or figures["machine"]["cores"]
    cpu_ms: dict[str, float] = sample["cpu_ms_by_process"]
    total = sum(cpu_ms.values()) / 1000
    node = capacity(total, cores=cores)
    rate = bench.options.rate or node
    bench.say(f"A job costs {total * 1000:.0f} ms of CPU ({source}); {cores} cores at 70 % serve {node:.1f} a second.")
    found = stages_from_cpu_ms(cpu_ms, TASKS)
    tables = {
        "pools": _pools(found, rate),
        "growth": _growth(found, cpu_ms, rate, cores),
        "waits": _checked(found, bench.jobs(SIMULATED)),
    }
    titles = {"pools": f"pools for {rate:.1f} jobs/s", "waits": "mean waits in ms: formula, and simulated"}
    for name, table in tables.items():
        bench.show(titles.get(name, name), *table)
    if bench.options.write:
        compared = comparison_tables.tables(figures)
        tables |= {"measured": scaling_tables.measurement_table(figures)}
        races = {name: table for name, table in compared.items() if name in ON_PERFORMANCE}
        scaling_tables.write(scaling_tables.PATH, tables | {name: compared[name] for name in compared.keys() - races})
        scaling_tables.write(scaling_tables.PERFORMANCE, races)
        bench.say(f"{scaling_tables.PATH} and {scaling_tables.PERFORMANCE} have new tables.")
    return {"rate": rate, "node_jobs_per_s": node, "cpu_ms": total * 1000}


def _figures(path: Path) -> Figures:
    if not path.exists():
        raise SystemExit(f"There are no figures in {path}: first ./run bench race, or name a file with --json.")
    found: Figures = json.loads(path.read_text(encoding="utf-8"))
    return found


def _sample(figures: Figures) -> tuple[str, Figures]:
    """Return the costs of one job, and whence: of Darkroom in a race, or of the mix, or one at a time."""
    if "race" in figures:
        return "race", scaling_tables.race_medians(figures)
    if "mix" in figures:
        return "mix", figures["mix"]
    if "idle" in figures:
        return "idle", figures["idle"]["12mp"]
    raise SystemExit("The figures hold neither a race, nor a mix, nor an idle run.")


def _pools(found: Sequence[Stage], rate: float) -> Table:
    headings = ["", "tasks/job", "ms/task", "load", "processes", "busy %", "mean wait ms", "by square root"]
    needed = [size_pool(stage, rate) for stage in found]
    return headings, [
        (
            each.stage.name,
            each.stage.tasks,
            each.stage.seconds * 1000,
            each.load,
            each.processes,
            each.utilisation * 100,
            each.wait * 1000,
            square_root_staffing(each.load),
        )
        for each in needed
    ]


def _growth(found: Sequence[Stage], cpu_ms: Mapping[str, float], rate: float, cores: int) -> Table:
    """Tell for multiples of a rate what is needed of everything."""
    workers = sum(offered_load(stage, 1) for stage in found)
    headings = ["times", "jobs/s", f"worker nodes of {cores} cores", *(f"{stage.name} processes" for stage in found)]
    headings += [f"{name}: cores" for name in SERVERS if name in cpu_ms]
    rows = []
    for factor in FACTORS:
        jobs = rate * factor
        pools = [size_pool(stage, jobs).processes for stage in found]
        servers = [jobs * cpu_ms[name] / 1000 for name in SERVERS if name in cpu_ms]
        rows.append((f"{factor:,}", jobs, count_nodes(workers, jobs, cores=cores), *pools, *servers))
    return headings, rows


def _checked(found: Sequence[Stage], jobs: int) -> Table:
    """Compare formula and simulation with the pools of one node, its busiest pool at each level."""
    processes = {stage.name: POOLS.get(stage.name, 1) for stage in found}
    busiest = max(offered_load(stage, 1) / processes[stage.name] for stage in found)
    rows: list[tuple[object, ...]] = []
    for level in LEVELS:
        rate = level / busiest
        simulated = Simulation(found, processes).run(rate, jobs)
        for stage in found:
            count, busy = processes[stage.name], offered_load(stage, rate) / processes[stage.name]
            waits = mean_wait(stage, count, rate) * 1000, simulated[stage.name] * 1000
            rows.append((f"{level:.0%}: {stage.name}", count, rate, busy * 100, *waits))
    return ["busiest pool at", "processes", "jobs/s", "busy %", "formula", "simulated"], rows

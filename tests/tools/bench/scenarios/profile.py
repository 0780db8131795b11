"""Where the CPU of a job goes, by component: all processes sampled, weighted with the CPU that each of them used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.process_groups import group_of
from tests.tools.bench.profile_components import ENCODING, add_up, divide_cpu
from tests.tools.bench.profiling import Sampled, find_py_spy, sample_stack, sample_stages
from tests.tools.bench.rounds import ratio
from tests.tools.bench.systems import System, run_darkroom
from tests.tools.bench.tree_stack import run_tree

JOBS = {"12mp": 200, "tiny": 400}
WARM = 30
KEPT = "bench-profiles"
"""The folder beside the figures where the stacks stay: for any tool that reads folded stacks."""


def run(bench: Bench) -> Figures:
    """Sample our stack, and with `--against` the other one, with photos of 12 megapixels and with tiny ones."""
    program = find_py_spy(bench.options.py_spy)
    trees = [Path(), *([bench.options.against] if bench.options.against else [])]
    found: Figures = {}
    with ExitStack() as resources:
        systems: list[System] = [resources.enter_context(run_darkroom(bench.folder("profile")))]
        systems += [resources.enter_context(run_tree(tree, bench.folder("before"))) for tree in trees[1:]]
        for kind, jobs in JOBS.items():
            parts = {
                system.name: _divide(bench, system, tree, program, kind, bench.jobs(jobs))
                for system, tree in zip(systems, trees, strict=True)
            }
            found[kind] = parts
            _show(bench, kind, parts)
    bench.say(
        "Pixels are the CPU of the stages alone; the rest is by samples of threads that hold the interpreter's lock."
    )
    return found


def _divide(bench: Bench, system: System, tree: Path, program: Path, kind: str, jobs: int) -> dict[str, float]:
    """Return the CPU of each component for one job."""
    photos = bench.corpus.photos(kind)
    folder = bench.options.json.parent / KEPT / f"{system.name}-{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    pixels = sample_stages(tree, program, bench.folder("stages"), photos)
    run_load(system, photos, jobs=WARM, in_flight=bench.options.in_flight)

    def work() -> None:
        run_load(system, photos, jobs=jobs, in_flight=bench.options.in_flight, warm=0)

    sampled = sample_stack(system, program, folder, work)
    homes = _homes(sampled)
    divided = []
    for each in sampled:
        own = {name: ms for name, ms in pixels.items() if homes.get(name == ENCODING) is each}
        divided.append(divide_cpu(each.process, each.cpu_ms / jobs, each.samples, own))
    return add_up(divided)


def _homes(sampled: Sequence[Sampled]) -> dict[bool, Sampled]:
    """Return the pools that encode (True) and that decode: the pool of one name, or else the one that works most."""
    pools = [each for each in sampled if each.is_pool and group_of(each.process) == "workers"]
    if not pools:
        return {}
    busiest = max(pools, key=lambda each: each.cpu_ms)
    by_name = {each.process: each for each in pools}
    return {True: by_name.get("resize", busiest), False: by_name.get("normalize", busiest)}


def _show(bench: Bench, kind: str, parts: Mapping[str, Mapping[str, float]]) -> None:
    own, *others = parts
    totals = {name: sum(each.values()) for name, each in parts.items()}
    headings = ["CPU of a job", *(f"{name}: {what}" for name in parts for what in ("ms", "%"))]
    headings += [f"{own} to {other}" for other in others]
    rows = []
    for component in dict.fromkeys(name for each in parts.values() for name in each):
        values = {name: each.get(component, 0.0) for name, each in parts.items()}
        cells = [cell for name, value in values.items() for cell in (value, value / totals[name] * 100)]
        rows.append((component, *cells, *(ratio(values[own], values[other]) for other in others)))
    total = [cell for value in totals.values() for cell in (value, 100.0)]
    rows.append(("all", *total, *(ratio(totals[own], totals[other]) for other in others)))
    bench.show(f"{kind}: components", headings, rows)

"""The parts of `compare`: each takes the systems in the order of a round, and returns what each of them did."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from tests.tools.bench.bench import Bench
from tests.tools.bench.latency import measure_latencies
from tests.tools.bench.load import run_load
from tests.tools.bench.process_groups import ALL, read_memory
from tests.tools.bench.rounds import Round
from tests.tools.bench.sample import Sample
from tests.tools.bench.scenarios.memory import REST_SECONDS, drive, pss_groups
from tests.tools.bench.scenarios.upload import LARGE, SIZES, measure_requests, pad
from tests.tools.bench.systems import System

RACE_JOBS, QUEUE_JOBS, IDLE_JOBS = 120, 300, 20
POSTS, LARGE_POSTS, WARM_POSTS = 200, 30, 20
POSTED = ("10 KB", "1 MB", "24 MB")
IDLE_SIZES = ("12mp", "2mp")
AT_ONCE = "PSS at once after the load, MiB, all"

Part = Callable[[Bench, Sequence[System]], Round]


def measure_race(bench: Bench, systems: Sequence[System]) -> Round:
    """Measure photos of 12 megapixels, many in flight."""
    return {system.name: _load(bench, system, "12mp", RACE_JOBS) for system in systems}


def measure_queue(bench: Bench, systems: Sequence[System]) -> Round:
    """Measure photos that have hardly any pixels."""
    return {system.name: _load(bench, system, "tiny", QUEUE_JOBS) for system in systems}


def measure_idle(bench: Bench, systems: Sequence[System]) -> Round:
    """Measure one photo at a time, the systems in turn."""
    found: dict[str, dict[str, float]] = {system.name: {} for system in systems}
    for size in IDLE_SIZES:
        latencies = measure_latencies(systems, bench.corpus.photos(size), jobs=bench.jobs(IDLE_JOBS))
        for name, each in latencies.items():
            found[name] |= {f"{size} {figure}": value for figure, value in each.figures().items()}
    return found


def measure_memory(bench: Bench, systems: Sequence[System]) -> Round:
    """Send photos to stacks that run alone, because two would share pages, and read the PSS of processes and groups."""
    found = {}
    for system in systems:
        drive(bench, system)
        at_once = pss_groups(read_memory(system))[ALL]
        time.sleep(REST_SECONDS)
        memory = read_memory(system)
        by_process = {name: each.pss for name, each in memory.items()}
        found[system.name] = {f"PSS MiB, {name}": mib for name, mib in (by_process | pss_groups(memory)).items()}
        found[system.name] |= {AT_ONCE: at_once}
    return found


def measure_posts(bench: Bench, systems: Sequence[System]) -> Round:
    """Measure what a POST costs a gateway that no worker disturbs, by the size of its body."""
    photo = bench.corpus.photos("tiny")[0]
    found = {}
    for system in systems:
        measure_requests(system, WARM_POSTS, lambda visitor: visitor.send(photo))
        found[system.name] = {
            f"{name}: gateway's CPU ms": _post_cpu_ms(bench, system, pad(photo, SIZES[name])) for name in POSTED
        }
    return found


WORKING: Mapping[str, Part] = {"race": measure_race, "queue": measure_queue, "idle": measure_idle}
"""With all stacks up, of which one works."""
POSTING: Mapping[str, Part] = {"upload": measure_posts}
"""With gateways and stores, without workers."""
ALONE: Mapping[str, Part] = {"memory": measure_memory}
"""With one stack at a time."""

SUMMARY = (
    *(("race", name) for name in ("jobs/s", "CPU ms/job")),
    *(("queue", name) for name in ("jobs/s", "CPU ms/job", "Redis commands/job")),
    *(("idle", f"{size} {name} p50 ms") for size in IDLE_SIZES for name in ("done", "first preview")),
    *(("idle", f"{size} seen: {name} p50 ms") for size in IDLE_SIZES for name in ("done", "first preview")),
    *(("upload", f"{name}: gateway's CPU ms") for name in POSTED),
    ("memory", AT_ONCE),
    ("memory", "PSS MiB, all"),
    ("still", "all"),
)
"""The part and the name of each figure that the goals are about."""


def describe_load(sample: Sample) -> dict[str, float]:
    """Return rates, times and costs of a run by names, the costs also of each process."""
    found = {"jobs/s": sample.rate, "p50 ms": sample.p50_ms, "p95 ms": sample.p95_ms, "CPU ms/job": sample.cpu_ms}
    found |= {f"CPU ms, {name}": ms for name, ms in sample.cpu_by_process.items()}
    return found | {"Redis commands/job": sample.used.redis_commands / len(sample.ended)}


def _load(bench: Bench, system: System, photos: str, jobs: int) -> dict[str, float]:
    in_flight = bench.options.in_flight
    return describe_load(run_load(system, bench.corpus.photos(photos), jobs=bench.jobs(jobs), in_flight=in_flight))


def _post_cpu_ms(bench: Bench, system: System, body: bytes) -> float:
    requests = bench.jobs(POSTS if len(body) < LARGE else LARGE_POSTS)
    return measure_requests(system, requests, lambda visitor: visitor.send(body))["cpu_ms"]

"""Photos of 16 x 16 pixels: what the queue, the documents and the blobs cost without pixels."""

from __future__ import annotations

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import run_load
from tests.tools.bench.services import start_darkroom

JOBS = 300
SHOWN = 12


def run(bench: Bench) -> Figures:
    """Drive tiny photos."""
    with start_darkroom(bench, "queue") as system:
        photos = bench.corpus.photos("tiny")
        sample = run_load(system, photos, jobs=bench.jobs(JOBS), in_flight=bench.options.in_flight)
        workers = {name: sample.cpu_by_process[name] for name in system.stack.pools}
    bench.show_samples("queue", [("tiny", sample)])
    bench.show_costs("queue", sample)
    bench.say(f"workers: {sum(workers.values()):.1f} ms of CPU a job")
    found = sample.figures()
    commands = sorted(found["redis_by_name"].items(), key=lambda pair: -pair[1])
    bench.show("Redis commands for one job", ["", "times"], commands[:SHOWN])
    return found | {"worker_cpu_ms": round(sum(workers.values()), 2)}

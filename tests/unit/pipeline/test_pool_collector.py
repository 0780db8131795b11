"""What a worker's parent tells of its pool."""

from __future__ import annotations

import os
import sys
from subprocess import PIPE
from types import SimpleNamespace

from pipeline.exporter import PoolCollector
from tests.support.programs import run_program

BURN = "import os, sys\nwhile os.times().user < 0.3: pass\nprint(flush=True)\nsys.stdin.read()"


def cpu_seconds(collector: PoolCollector) -> float:
    (family,) = [family for family in collector.collect() if family.name == "darkroom_worker_cpu_seconds"]
    (sample,) = family.samples
    assert sample.labels == {"queue": "resize"}
    return float(sample.value)


def test_the_processor_time_of_a_child_counts_while_it_runs_and_after_it_has_ended() -> None:
    collector = PoolCollector(["resize"])
    before = sum(os.times()[:4])
    with run_program(sys.executable, "-S", "-c", BURN, stdin=PIPE, stdout=PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        collector.pool = SimpleNamespace(_pool=[SimpleNamespace(pid=child.pid)])
        running = cpu_seconds(collector)
    collector.pool = SimpleNamespace(_pool=[])

    ended = cpu_seconds(collector)

    assert running >= before + 0.29
    assert ended >= running


def test_the_counter_never_falls() -> None:
    collector = PoolCollector(["resize"])
    collector.pool = SimpleNamespace(_pool=[SimpleNamespace(pid=os.getpid())])  # as if a child counted twice
    twice = cpu_seconds(collector)
    collector.pool = SimpleNamespace(_pool=[])

    assert cpu_seconds(collector) >= twice

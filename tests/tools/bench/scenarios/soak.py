"""Good and refused images for some minutes: the memory of each process, which should not grow with its jobs."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from gateway.client import Client, Problem
from tests.tools.bench import usage
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.memory_growth import Reading, measure_growth
from tests.tools.bench.process_groups import STORES
from tests.tools.bench.sample import MIB
from tests.tools.bench.soak_requests import Request, draw_requests
from tests.tools.bench.systems import POOLS, Darkroom, run_darkroom

EVERY_SECONDS, REST_SECONDS = 10.0, 3.0  # a child that rests for 2 s returns what is free in its heap
WARM_JOBS, SENDERS = 30, 3
NEVER = "1000000000"
ENDLESS = {"DARKROOM_WORK__MAX_TASKS_PER_CHILD": NEVER, "DARKROOM_WORK__MAX_MEMORY_PER_CHILD_KIB": NEVER}
"""Settings that replace no child: a new one would hide what the one before it kept."""
ONE_EACH = dict.fromkeys(POOLS, 1)  # so that each child gets all images of its queue


class Soak:
    """The load on a stack, and the memory that its processes have between the jobs."""

    def __init__(self, system: Darkroom, client: Client) -> None:
        self._system, self._client = system, client
        self._pids = find_processes(system)
        self.ends: list[str] = []
        self.readings: dict[str, list[Reading]] = {name: [] for name in self._pids}

    def send_for(self, seconds: float, requests: Iterator[Request]) -> None:
        """Send one request after another, some at a time, and wait until their jobs have ended."""
        end = time.monotonic() + seconds

        def send() -> None:
            while time.monotonic() < end and (request := next(requests, None)):
                self._send(request)

        with ThreadPoolExecutor(SENDERS) as pool:
            for sender in [pool.submit(send) for _ in range(SENDERS)]:
                sender.result()

    def read(self) -> None:
        """Wait until the processes have returned free memory, and read. RuntimeError if one of them was replaced."""
        time.sleep(REST_SECONDS)
        if find_processes(self._system) != self._pids:
            raise RuntimeError(f"a process was replaced: {self._pids} are now {find_processes(self._system)}")
        for name, pid in self._pids.items():
            self.readings[name].append(Reading(len(self.ends), usage.private_bytes(pid)))

    def _send(self, request: Request) -> None:
        try:
            status = self._client.follow_to_end(request.send(self._client, request.image).task_id).status
        except Problem as problem:
            status = f"{problem.status} at once"
        if status == "dead" or (request.is_good and status != "done"):
            raise RuntimeError(f"{request.name} is {status}")
        self.ends.append(status)


def find_processes(system: Darkroom) -> dict[str, int]:
    """Return the gateway, and the parent and the children of each pool, by their names."""
    parents = {name: pid for name, pid in system.pids().items() if name not in STORES}
    children = {name: enumerate(system.running.children(name), 1) for name in parents}
    return parents | {f"{name}, child {number}": pid for name in parents for number, pid in children[name]}


def run(bench: Bench) -> Figures:
    """Send good images only, then all kinds, with a rest for each reading."""
    requests = draw_requests()
    good, every = (request for request in requests if request.is_good), itertools.cycle(requests)
    with (
        run_darkroom(bench.folder("soak"), pools=ONE_EACH, environment=ENDLESS) as system,
        Client(f"http://{system.host}:{system.port}") as client,
    ):
        soak = Soak(system, client)
        soak.send_for(float("inf"), itertools.islice(itertools.cycle(list(good)), WARM_JOBS))
        soak.read()
        end = time.monotonic() + bench.options.minutes * 60
        while time.monotonic() < end:
            soak.send_for(EVERY_SECONDS - REST_SECONDS, every)
            soak.read()
    return _report(bench, soak)


def _report(bench: Bench, soak: Soak) -> Figures:
    """Compare each process with itself after the warm-up. RuntimeError if the memory of one grows."""
    found = {name: measure_growth(first, readings) for name, (first, *readings) in sorted(soak.readings.items())}
    ends = Counter(soak.ends)
    bench.say(f"{len(soak.ends):,} jobs: " + ", ".join(f"{count:,} {end}" for end, count in ends.most_common()))
    rows = [
        (name, each.start, each.half, each.end, each.most, each.kib_a_job, each.least_kib_a_job, each.verdict)
        for name, each in found.items()
    ]
    moments = ["MiB after a warm-up", "at half", "at the end", "most"]
    headings = ["", *moments, "KiB a job, second half", "at least", ""]
    bench.show("memory of its own that each process has between jobs", headings, rows)
    if growing := [name for name, each in found.items() if not each.is_flat]:
        raise RuntimeError(f"memory grows: {'; '.join(growing)}")
    readings = {
        name: [(each.jobs, round(each.bytes / MIB, 2)) for each in of_one] for name, of_one in soak.readings.items()
    }
    return {"jobs": len(soak.ends), "ends": dict(ends), "mib_by_jobs": readings}

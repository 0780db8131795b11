"""A server of 1 GiB: 200 photos of 12 megapixels and two of 50 through a stack with one pool, in a control group."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.pools import MAX_CHILDREN
from tests.support.programs import run_program
from tests.tools.bench import usage
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import BenchClient, run_load
from tests.tools.bench.memory_cgroup import CannotLimitMemoryError, MemoryGroup, limit_memory
from tests.tools.bench.sample import MIB
from tests.tools.bench.usage import Usage

LIMIT = 1024 * MIB
IMAGES_MIB = 600  # for the images of all children together; the rest is for the processes
JOBS, LARGE = 200, 2
LOOK_SECONDS, IDLE_SECONDS = 0.1, 12.0
STORES = ("redis", "mongo")


@dataclass
class SmallStack:
    """The stack, as the load sees it."""

    port: int
    processes: Mapping[str, list[int]]
    name: str = "darkroom"
    host: str = "127.0.0.1"
    status_path: str = "/task-status/"
    supports_long_poll: bool = True
    form: Mapping[str, str] = field(default_factory=dict)

    def pids(self) -> dict[str, int]:
        """Return the processes that run, by their names."""
        return {name: pids[0] for name, pids in self.processes.items()}

    def usage(self) -> Usage:
        """Read the processor time and the memory of its processes."""
        return Usage(*usage.of_processes(self.pids()))


def run(bench: Bench) -> Figures:
    """Drive the photos, then crops of a whole 50-megapixel photo, which this profile refuses. Kills are errors."""
    try:
        with limit_memory(LIMIT) as group, _run_stack(bench.folder("small"), group) as system:
            return _measure(bench, group, system)
    except CannotLimitMemoryError as error:
        bench.say(f"small cannot run: {error}.")
        return {"skipped": str(error)}


def _measure(bench: Bench, group: MemoryGroup, system: SmallStack) -> Figures:
    large = list(bench.corpus.photos("50")) * LARGE
    photos = [*bench.corpus.photos("12mp")] * (bench.jobs(JOBS) // len(bench.corpus.photos("12mp")) or 1)
    for number, photo in enumerate(large[:LARGE], 1):
        photos.insert(len(photos) * number // (LARGE + 1), photo)
    with _watch(group) as most:
        sample = run_load(system, photos, jobs=len(photos), in_flight=bench.options.in_flight, warm=0)
        refused = _crop(system, large[0])
    time.sleep(IDLE_SECONDS)
    pss = {name: sum(map(usage.proportional_bytes, pids)) / MIB for name, pids in system.processes.items()}
    own = sum(mib for name, mib in pss.items() if name not in STORES)
    rows = [*pss.items(), ("gateway and worker", own), ("all", sum(pss.values()))]
    bench.show("PSS after load, MiB", ["", "PSS MiB"], rows)
    bench.say(
        f"{len(sample.ended)} of {len(photos)} done, {sample.rate:.2f} a second; a crop of 50 megapixels: {refused}; "
        f"the processes had {max(most) / MIB:.0f} MiB at most, with the page cache {group.peak_bytes / MIB:.0f}; "
        f"killed by the kernel: {group.kills}"
    )
    if group.kills:
        raise RuntimeError(f"the kernel killed {group.kills} processes")
    return {
        "done": len(sample.ended),
        "rate": sample.rate,
        "cpu_ms": sample.cpu_ms,
        "crop": refused,
        "process_peak_mib": max(most) / MIB,
        "peak_mib": group.peak_bytes / MIB,
        "kills": group.kills,
        "pss_mib": pss,
        "own_pss_mib": own,
    }


def _crop(system: SmallStack, photo: bytes) -> str:
    """Crop a photo without its last column, and return how the job ended: `done`, or the code of the refusal."""
    client = BenchClient(system)
    try:
        answer = client.ask("POST", "/crop?left=0&top=0&width=8159&height=6120", photo, {"Content-Type": "image/jpeg"})
        while (job := client.ask("GET", f"/task-status/{answer['task_id']}?wait=30"))["status"] not in {
            "done",
            "failed",
        }:
            pass
    finally:
        client.close()
    return str(job["failure"]["code"] if job["failure"] else job["status"])


@contextmanager
def _run_stack(folder: Path, group: MemoryGroup) -> Iterator[SmallStack]:
    command = [sys.executable, "-m", "tests.tools.bench.small_stack", str(folder), str(group.procs)]
    children = min(os.cpu_count() or 1, MAX_CHILDREN)
    limits = {"DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB": str(IMAGES_MIB // children)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with run_program(*command, environment=limits, **pipes) as process:
        if not (line := process.stdout.readline() if process.stdout else ""):
            raise RuntimeError("the stack did not start")
        yield SmallStack(**json.loads(line))


@contextmanager
def _watch(group: MemoryGroup) -> Iterator[list[int]]:
    """Yield a list that has what the processes of the group had, looked at again and again."""
    seen, ended = [group.process_bytes], threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            seen.append(group.process_bytes)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()

"""How long a person waits for one photo on an idle machine: several systems in turn, photo by photo."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from statistics import median

from tests.tools.bench.load import BenchClient
from tests.tools.bench.peer import Peer
from tests.tools.bench.sample import EndedJob, p95, stage_times
from tests.tools.bench.systems import System
from tests.tools.bench.usage import Usage

WARM = 4
STREAM = "the stream of its events"
POLL = "its status, asked every 2.5 ms; no answer tells of a preview before the end, so the time of its file counts"


@dataclass(slots=True)
class Latencies:
    """What one system took for the photos of one size, in milliseconds from the first byte sent.

    `done` and `first_preview` are by the system's own clock; `seen_done` and `seen_first_preview` by that of a client.
    """

    done: list[float] = field(default_factory=list)
    first_preview: list[float] = field(default_factory=list)
    seen_done: list[float] = field(default_factory=list)
    seen_first_preview: list[float] = field(default_factory=list)
    ended: list[EndedJob] = field(default_factory=list)
    used: Usage = field(default_factory=lambda: Usage({}, {}))

    @property
    def cpu_by_process(self) -> dict[str, float]:
        """The CPU of one job; what the system uses while the others work is in it."""
        jobs = len(self.done) + len(self.seen_done)
        return {name: ms / jobs for name, ms in self.used.cpu_ms.items()}

    def figures(self) -> dict[str, float]:
        """Return the medians and the 95th percentiles, the CPU of a job, and the medians of each stage."""
        times = {
            "done p50 ms": median(self.done),
            "done p95 ms": p95(self.done),
            "first preview p50 ms": median(self.first_preview),
            "first preview p95 ms": p95(self.first_preview),
            "seen: done p50 ms": median(self.seen_done),
            "seen: first preview p50 ms": median(self.seen_first_preview),
            "CPU ms": sum(self.cpu_by_process.values()),
        }
        stages = stage_times(each.answer for each in self.ended).items()
        return times | {f"{name} {what}": stage[what] for name, stage in stages for what in ("wait_ms", "run_ms")}


def describe_clients(systems: Sequence[System]) -> dict[str, str]:
    """Return what a client of each system watches."""
    return {system.name: STREAM if system.supports_long_poll else POLL for system in systems}


def measure_latencies(systems: Sequence[System], photos: Sequence[bytes], *, jobs: int) -> dict[str, Latencies]:
    """Send each photo to one system after the other, alone; every second time in the reverse order.

    Each photo goes twice: once the client learns of the end as it likes, once it watches for every change.
    """
    with ExitStack() as resources:
        clients = [(system, resources.enter_context(closing(BenchClient(system)))) for system in systems]
        _send_in_turn(clients, photos, WARM)
        before = {system.name: system.usage() for system in systems}
        found = _send_in_turn(clients, photos, jobs)
    for system in systems:
        found[system.name].used = system.usage().since(before[system.name])
    return found


def _send_in_turn(
    clients: Sequence[tuple[System, BenchClient]], photos: Sequence[bytes], jobs: int
) -> dict[str, Latencies]:
    found = {system.name: Latencies() for system, _ in clients}
    for number in range(jobs):
        photo = photos[number % len(photos)]
        for system, client in reversed(clients) if number % 2 else clients:
            _record(system, client, photo, found[system.name])
            _watch(system, client, photo, found[system.name])
    return found


def _record(system: System, client: BenchClient, photo: bytes, into: Latencies) -> None:
    ended = client.job(photo)
    if isinstance(system, Peer):
        ended = EndedJob(ended.sent, ended.answer | {"first_preview_ms": system.first_preview_ms(ended.answer["id"])})
    into.ended.append(ended)
    into.done.append(ended.ms)
    into.first_preview.append(ended.first_preview_ms)


def _watch(system: System, client: BenchClient, photo: bytes, into: Latencies) -> None:
    sent = time.time()
    job = client.send(photo)
    seen = client.watch(job)
    into.seen_done.append((seen.done - sent) * 1000)
    first = system.first_preview_ms(job) / 1000 if isinstance(system, Peer) else seen.first_preview
    into.seen_first_preview.append(((first or seen.done) - sent) * 1000)

"""The gateway alone, no worker running: what a request costs it, by the size of its body."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import closing
from statistics import median

from redis import Redis

from pipeline.notifications import ENDS_CHANNEL
from tests.tools.bench import usage
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import BenchClient
from tests.tools.bench.sample import p95
from tests.tools.bench.systems import Darkroom, System, run_darkroom

SIZES = {"10 KB": 10_000, "100 KB": 100_000, "1 MB": 1_000_000, "5 MB": 5_000_000, "24 MB": 24_000_000}
REQUESTS, LARGE, FEWER, WARM = 300, 5_000_000, 40, 20
HINTS = 5_000
GETS = 5  # times as many, or a tick of the kernel's clock would be seen
VISITORS = 4


def run(bench: Bench) -> Figures:
    """Post bodies of each size, then ask for statuses and for a sign of life."""
    photo = bench.corpus.photos("tiny")[0]
    found: Figures = {}
    with run_darkroom(bench.folder("upload"), workers=False) as system:
        measure_requests(system, WARM, lambda visitor: visitor.send(photo))
        for name, size in SIZES.items():
            body = pad(photo, size)
            requests = bench.jobs(REQUESTS if size < LARGE else FEWER)
            found[f"POST /upload, {name}"] = measure_requests(system, requests, lambda visitor: visitor.send(body))  # noqa: B023  # run at once
        with closing(BenchClient(system)) as visitor:
            job = visitor.send(photo)
        asked = bench.jobs(REQUESTS) * GETS
        found["GET /task-status"] = measure_requests(system, asked, lambda visitor: visitor.status(job))
        found["GET /livez"] = measure_requests(system, asked, lambda visitor: visitor.ask("GET", "/livez"))
        hint = _hint_cpu_ms(system)
    headings = ["", "requests/s", "p50 ms", "p95 ms", "gateway's CPU ms"]
    bench.show(f"requests of {VISITORS} clients", headings, [(name, *each.values()) for name, each in found.items()])
    bench.say(f"A hint that a job has ended costs every gateway {hint:.4f} ms, watched or not.")
    return found | {"hint_cpu_ms": round(hint, 4)}


def pad(photo: bytes, size: int) -> bytes:
    """Return a photo of so many bytes: what follows the picture's end is nobody's business."""
    return photo + bytes(size - len(photo))


def _hint_cpu_ms(system: Darkroom) -> float:
    """Tell of ends that nobody waits for, and return what one costs the gateway."""
    pid = system.stack.pid("gateway")
    before = usage.cpu_ms(pid)
    with closing(Redis.from_url(system.stack.redis_url)) as redis:
        for _ in range(HINTS):
            redis.publish(ENDS_CHANNEL, "nobody-watches-this")
    return (_wait_until_idle(pid) - before) / HINTS


def _wait_until_idle(pid: int) -> float:
    """Return the processor time of a process once it has worked off what it was told."""
    deadline, seen = time.monotonic() + 10, -1.0
    while (now := usage.cpu_ms(pid)) > seen and time.monotonic() < deadline:
        seen = now
        time.sleep(0.2)
    return now


def measure_requests(system: System, requests: int, question: Callable[[BenchClient], object]) -> dict[str, float]:
    """Ask so many times, as several visitors at once; return rate, times and the gateway's CPU for one request."""
    numbers, spans, errors = itertools.count(), list[float](), list[Exception]()

    def visit() -> None:
        try:
            with closing(BenchClient(system)) as visitor:
                while next(numbers) < requests and not errors:
                    start = time.perf_counter()
                    question(visitor)
                    spans.append((time.perf_counter() - start) * 1000)
        except Exception as error:  # noqa: BLE001  # raised by the thread that waits for all
            errors.append(error)

    pid = system.pids()["gateway"]
    before, start = usage.cpu_ms(pid), time.perf_counter()
    threads = [threading.Thread(target=visit, daemon=True) for _ in range(VISITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, used = time.perf_counter() - start, usage.cpu_ms(pid) - before
    if errors:
        raise errors[0]
    told = {"per_s": requests / seconds, "p50_ms": median(spans), "p95_ms": p95(spans), "cpu_ms": used / requests}
    return {name: round(value, 2) for name, value in told.items()}

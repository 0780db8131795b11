"""A small photo among others: alone, beside one of 50 megapixels, and behind a burst."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from statistics import median

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import BenchClient
from tests.tools.bench.sample import EndedJob, p95
from tests.tools.bench.systems import Darkroom, run_darkroom

SMALL, EVERY_SECONDS = 20, 0.5
SENDERS = 8
OTHERS = "127.0.0.2"  # who sends the large photo and the burst: somebody else


def run(bench: Bench) -> Figures:
    """Send a photo of 2 megapixels every half second in all three, come what may."""
    photos, large = bench.corpus.photos("2mp"), bench.corpus.photos("50")[0]
    count = bench.jobs(SMALL)
    found: dict[str, list[EndedJob]] = {}
    with run_darkroom(bench.folder("fairness")) as system:
        _at_a_pace(system, photos[0], 4)
        found["alone"] = _at_a_pace(system, photos[0], count)
        found["beside 50 MP"] = _beside(system, large, lambda: _at_a_pace(system, photos[0], count))
        began = time.perf_counter()
        _burst(system, photos[1], bench.options.burst)
        queued = time.perf_counter() - began
        found[f"behind {bench.options.burst}"] = _at_a_pace(system, photos[0], count)
    bench.say(f"The burst of {bench.options.burst} was sent in {queued:.1f} s.")
    times = {name: [each.ms for each in ended] for name, ended in found.items()}
    rows = [(name, median(each), p95(each), max(each)) for name, each in times.items()]
    bench.show("a photo of 2 MP every half second", ["", "p50 ms", "p95 ms", "longest ms"], rows)
    return {name: {"p50_ms": p50, "p95_ms": most, "longest_ms": longest} for name, p50, most, longest in rows}


def _at_a_pace(system: Darkroom, photo: bytes, count: int) -> list[EndedJob]:
    """Send on time, whether or not the ones before have ended: a visitor does not wait for others."""
    with ThreadPoolExecutor(count) as pool:
        began, jobs = time.monotonic(), []
        for number in range(count):
            time.sleep(max(0.0, began + number * EVERY_SECONDS - time.monotonic()))
            jobs.append(pool.submit(_one, system, photo))
        return [job.result() for job in jobs]


def _one(system: Darkroom, photo: bytes) -> EndedJob:
    with closing(BenchClient(system)) as visitor:
        return visitor.job(photo)


def _beside(system: Darkroom, large: bytes, work: Callable[[], list[EndedJob]]) -> list[EndedJob]:
    """Do the work while one large photo after another is being worked on."""
    over, errors = threading.Event(), list[Exception]()

    def send() -> None:
        try:
            with closing(BenchClient(system, address=OTHERS)) as visitor:
                while not over.is_set():
                    visitor.job(large)
        except Exception as error:  # noqa: BLE001  # raised by the thread that waits
            errors.append(error)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        return work()
    finally:
        over.set()
        sender.join()
        if errors:
            raise errors[0]


def _burst(system: Darkroom, photo: bytes, count: int) -> None:
    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(lambda _: _sent(system, photo), range(count)))


def _sent(system: Darkroom, photo: bytes) -> None:
    with closing(BenchClient(system, address=OTHERS)) as visitor:
        visitor.send(photo)

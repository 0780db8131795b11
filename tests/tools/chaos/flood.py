"""Backpressure under load: many clients upload without pause; what was accepted completes, memory stays flat.

python -m tests.tools.chaos.flood [--clients 50] [--seconds 120]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import httpx
from rich.console import Console
from rich.table import Table

from deploy.local.stack import Stack
from tests.integration.api_helpers import ENDED
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import encode_image, photo

QUEUE_BOUND = 200
SETTLE_SECONDS = 300


class Flood:
    """Clients that post one photo after another and honour Retry-After, and one that asks for statuses."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._deadline = time.monotonic() + seconds
        self._content = encode_image(photo(1200, 900), "jpeg")
        self.answers: Counter[int] = Counter()
        self.silent_refusals = 0
        self.accepted: list[str] = []
        self.status_ms: list[float] = []

    def run(self, clients: int) -> None:
        """Return once the time is over."""
        threads = [threading.Thread(target=self._upload) for _ in range(clients)]
        threads.append(threading.Thread(target=self._ask))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _upload(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, **HTTP_CLIENT_OPTIONS) as client:
            while time.monotonic() < self._deadline:
                answer = client.post("/upload", files={"file": ("flood.jpg", self._content)})
                self.answers[answer.status_code] += 1
                if answer.status_code == 202:
                    self.accepted.append(answer.json()["task_id"])
                elif "retry-after" in answer.headers:
                    time.sleep(min(float(answer.headers["retry-after"]), 1.0))
                else:
                    self.silent_refusals += 1

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, **HTTP_CLIENT_OPTIONS) as client:
            while time.monotonic() < self._deadline:
                if self.accepted:
                    start = time.perf_counter()
                    client.get(f"/task-status/{self.accepted[-1]}").raise_for_status()
                    self.status_ms.append((time.perf_counter() - start) * 1000)
                time.sleep(0.05)


def main(arguments: list[str]) -> int:
    """Run the flood and report; 1 when something accepted was lost or a refusal did not say when to come back."""
    parser = argparse.ArgumentParser(prog="./run flood", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    chosen = parser.parse_args(arguments)
    environment = {"DARKROOM_ACCESS__MAX_QUEUE": str(QUEUE_BOUND)}
    with tempfile.TemporaryDirectory() as folder, Stack(folder, environment=environment) as stack:
        before = _memory(stack)
        flood = Flood(stack.url, chosen.seconds)
        peaks = _watched(stack, lambda: flood.run(chosen.clients))
        unfinished = _unfinished(stack.url, flood.accepted)
        after = _memory(stack)
    _report(flood, {name: (before[name], peaks[name], after[name]) for name in before}, unfinished)
    return int(bool(unfinished or flood.silent_refusals))


def _watched(stack: Stack, work: Callable[[], None]) -> dict[str, int]:
    """Do the work, and return the most memory (MiB) that each process had meanwhile."""
    peaks: Counter[str] = Counter()
    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        for name, size in _memory(stack).items():
            peaks[name] = max(peaks[name], size)
        worker.join(timeout=0.5)
    return dict(peaks)


def _memory(stack: Stack) -> dict[str, int]:
    return {name: sum(map(_rss, [stack.pid(name), *stack.children(name)])) for name in stack.processes}


def _rss(pid: int) -> int:
    """Return the resident memory of a process in MiB, 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), 0)


def _unfinished(url: str, task_ids: list[str]) -> list[str]:
    deadline, left = time.monotonic() + SETTLE_SECONDS, list(task_ids)
    with httpx.Client(base_url=url, timeout=60, **HTTP_CLIENT_OPTIONS) as client:
        while left and time.monotonic() < deadline:
            left = [task_id for task_id in left if client.get(f"/task-status/{task_id}").json()["status"] not in ENDED]
            time.sleep(0.5)
    return left


def _report(flood: Flood, memory: dict[str, tuple[int, int, int]], unfinished: list[str]) -> None:
    console = Console()
    table = Table("process", "MiB before", "at most", "after", title="memory, with children")
    for name, sizes in memory.items():
        table.add_row(name, *map(str, sizes))
    console.print(table)
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(flood.answers.items()))
    console.print(f"answers: {answers}; refusals without Retry-After: {flood.silent_refusals}")
    console.print(f"accepted: {len(flood.accepted)}, not ended: {len(unfinished)}")
    if len(flood.status_ms) > 1:
        p99 = quantiles(flood.status_ms, n=100)[98]
        console.print(f"/task-status under load: median {median(flood.status_ms):.0f} ms, p99 {p99:.0f} ms")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

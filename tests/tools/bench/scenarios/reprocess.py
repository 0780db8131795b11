"""A preset changes; all its jobs are reprocessed under load, a worker is killed: nothing is mixed, nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from deploy.local import processes
from deploy.local.stack import Stack
from gateway.client import Client, RetryPolicy
from gateway.client.bulk_models import BulkStatus
from tests.support.images import decode_image, encode_image, photo
from tests.tools.bench.bench import Bench, Figures

JOBS, SENDERS, SECONDS = 1000, 6, 1200.0
ALONE, EVERY_SECONDS = 20, 0.5
BEFORE, AFTER = {"card": 200, "thumb": 80}, {"card": 150, "poster": 300}
Widths = dict[str, int]


@dataclass
class Traffic:
    """A visitor who uploads every half second, and another who reads jobs that are being reprocessed."""

    url: str
    task_ids: list[str]
    over: threading.Event = field(default_factory=threading.Event)
    upload_ms: list[float] = field(default_factory=list)
    seen: list[Widths] = field(default_factory=list)

    def upload(self) -> None:
        with _client(self.url) as visitor:
            while not self.over.wait(EVERY_SECONDS):
                self.upload_ms.append(_upload_ms(visitor))

    def read(self) -> None:
        with _client(self.url) as visitor:
            while not self.over.is_set():
                for task_id in self.task_ids[:: max(1, len(self.task_ids) // 50)]:
                    self.seen.append(_widths(visitor, task_id))
                    time.sleep(0.02)


def run(bench: Bench) -> Figures:
    """Make the jobs, change the preset, reprocess them all, and look at each result."""
    folder, count = bench.folder("reprocess"), bench.jobs(JOBS)
    file = folder / "presets.toml"
    _write_preset(file, BEFORE)
    environment = {"DARKROOM_PRESETS": str(file), "DARKROOM_LOG_FORMAT": "json"}
    with Stack(folder / "stack", shared_pool=2, environment=environment) as stack, _client(stack.url) as darkroom:
        task_ids = _make_jobs(stack.url, count)
        alone = [_upload_ms(darkroom) for _ in range(ALONE)]
        version = darkroom.status(task_ids[0]).preset
        _write_preset(file, AFTER)
        _wait_until(lambda: _count_outdated(darkroom) == count, "the new preset")
        traffic = Traffic(stack.url, task_ids)
        threads = [threading.Thread(target=work, daemon=True) for work in (traffic.upload, traffic.read)]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        bulk_id = darkroom.bulk("reprocess", preset="product", outdated=True).bulk_id
        _wait_until(lambda: darkroom.bulk_status(bulk_id).done >= count // 4, "a quarter of the jobs")
        _kill_worker(stack)
        ended = _finish(darkroom, bulk_id)
        acted_seconds = time.monotonic() - began
        _wait_until(lambda: not any(darkroom.jobs(status="processing", limit=1)), "the last job")
        seconds = time.monotonic() - began
        traffic.over.set()
        for thread in threads:
            thread.join()
        wrong = _count_wrong(stack.url, task_ids)
    mixed = sum(seen not in (BEFORE, AFTER) for seen in traffic.seen)
    bench.say(f"The preset was {version}. The bulk action counts {ended.done} done, {ended.failed} failed.")
    rows = [
        ("jobs reprocessed", ended.done, count),
        ("jobs whose results are not the new ones", wrong, 0),
        ("reads that saw a mix of both, of " + f"{len(traffic.seen):,}", mixed, 0),
        ("seconds until all were begun", acted_seconds, "-"),
        ("seconds until all were done", seconds, "-"),
    ]
    bench.show(f"{count} jobs reprocessed, a worker killed", ["", "found", "should be"], rows)
    times = {"alone": alone, "meanwhile": traffic.upload_ms}
    slow = [(name, len(each), median(each), quantiles(each, n=20)[-1]) for name, each in times.items()]
    bench.show("a small photo every half second, upload to end", ["", "photos", "p50 ms", "p95 ms"], slow)
    if ended.done != count or wrong or mixed:
        raise RuntimeError("jobs were lost or mixed")
    figures = {name: {"photos": photos, "p50_ms": p50, "p95_ms": p95} for name, photos, p50, p95 in slow}
    return {"jobs": count, "begun_seconds": acted_seconds, "seconds": seconds, "reads": len(traffic.seen)} | figures


def _client(url: str) -> Client:
    return Client(url, retry_policy=RetryPolicy(seconds=120))


def _write_preset(file: Path, widths: Widths) -> None:
    lines = [f"[product.renditions.{name}]\nedge = {edge}\n" for name, edge in widths.items()]
    part = file.with_suffix(".part")
    part.write_text("\n".join(lines), encoding="utf-8")
    part.replace(file)


def _make_jobs(url: str, count: int) -> list[str]:
    image = encode_image(photo(400, 300), "jpeg")

    def send(share: int) -> list[str]:
        with _client(url) as visitor:
            return [visitor.upload(image, name="photo.jpg", preset="product").task_id for _ in range(share)]

    shares = [count // SENDERS + (number < count % SENDERS) for number in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as pool:
        task_ids = [task_id for part in pool.map(send, shares) for task_id in part]
    with _client(url) as visitor:
        for task_id in task_ids:
            visitor.follow_to_end(task_id, timeout=SECONDS)
    return task_ids


def _upload_ms(visitor: Client) -> float:
    began = time.monotonic()
    visitor.follow_to_end(visitor.upload(encode_image(photo(64, 48), "jpeg"), name="small.jpg").task_id)
    return (time.monotonic() - began) * 1000


def _widths(visitor: Client, task_id: str) -> Widths:
    return {name: rendition.width for name, rendition in visitor.status(task_id).renditions.items()}


def _kill_worker(stack: Stack) -> None:
    children = stack.children(processes.SHARED_WORKER)
    stack.signal(processes.SHARED_WORKER, signal.SIGKILL)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _count_outdated(darkroom: Client) -> int:
    counted = darkroom.bulk("reprocess", preset="product", outdated=True, dry_run=True)
    return _finish(darkroom, counted.bulk_id).done


def _finish(darkroom: Client, bulk_id: str) -> BulkStatus:
    _wait_until(lambda: darkroom.bulk_status(bulk_id).has_ended, "the bulk action")
    return darkroom.bulk_status(bulk_id)


def _count_wrong(url: str, task_ids: list[str]) -> int:
    """Fetch every result of every job, and return how many jobs have others than the new ones."""

    def is_wrong(task_id: str) -> bool:
        with _client(url) as visitor:
            job = visitor.status(task_id)
            if (job.status, job.revision, _widths(visitor, task_id)) != ("done", 1, AFTER):
                return True
            return any(decode_image(visitor.result(task_id, name)).width != width for name, width in AFTER.items())

    with ThreadPoolExecutor(SENDERS) as pool:
        return sum(pool.map(is_wrong, task_ids))


def _wait_until(is_true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} does not come")
        time.sleep(0.25)

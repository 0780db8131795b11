"""The load: so many photos in flight at a time, the next one sent when one is done."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from tests.tools.bench.sample import EndedJob, Sample
from tests.tools.bench.systems import System

PREVIEWS = ("small", "medium", "large")
BOUNDARY = "darkroom-bench-7f3a"
POLL_SECONDS, POLLS = 0.04, 100  # a second, of all visitors: half of what the peer's own driver asks, lest it be load
TIMEOUT_SECONDS = 300.0
ENDED = {"done", "failed", "dead", "cancelled"}
WATCH_SECONDS = 0.0025  # between two questions of a client that waits for one photo


@dataclass(frozen=True, slots=True)
class Seen:
    """When a client was told of the end of a job and of its first preview, in epoch seconds; None: only of the end."""

    done: float
    first_preview: float | None


class BenchClient:
    """One connection that sends photos and waits for what becomes of them."""

    def __init__(self, system: System, *, visitors: int = 1, address: str = "127.0.0.1") -> None:
        self._system = system
        self._pause = max(POLL_SECONDS, visitors / POLLS)
        source = (address, 0)
        self._connection = HTTPConnection(system.host, system.port, TIMEOUT_SECONDS, source_address=source)

    def job(self, photo: bytes) -> EndedJob:
        """Upload a photo and wait for the end of its job."""
        sent = time.time()
        return EndedJob(sent, self.wait_until_done(self.send(photo)))

    def send(self, photo: bytes) -> str:
        """Upload a photo; the id of its job. Raises RuntimeError for any answer but 2xx."""
        part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
        fields = "".join(f'{part}"{name}"\r\n\r\n{value}\r\n' for name, value in self._system.form.items())
        head = f'{fields}{part}"file"; filename="photo"\r\n\r\n'.encode()
        body = b"".join((head, photo, f"\r\n--{BOUNDARY}--\r\n".encode()))
        answer = self.ask("POST", "/upload", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
        return str(answer.get("task_id") or answer["id"])

    def status(self, job: str) -> dict[str, Any]:
        """Ask for a job as it is."""
        found: dict[str, Any] = self.ask("GET", f"{self._system.status_path}{job}")
        return found

    def wait_until_done(self, job: str) -> dict[str, Any]:
        """Ask for a job until it is done: a system that can wait is asked to, another is asked again and again."""
        query = "?wait=30" if self._system.supports_long_poll else ""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while (answer := self.ask("GET", f"{self._system.status_path}{job}{query}"))["status"] not in ENDED:
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job} has not ended: {answer}")
            if not self._system.supports_long_poll:
                time.sleep(self._pause)
        if answer["status"] != "done":
            raise RuntimeError(f"job {job}: {answer}")
        found: dict[str, Any] = answer
        return found

    def watch(self, job: str) -> Seen:
        """Follow a job to its end: by the stream of its events, or by one question after another."""
        first_preview = done = None
        for answer in self._stream(job) if self._system.supports_long_poll else self._poll(job):
            now = time.time()
            if first_preview is None and has_preview(answer):
                first_preview = now
            if answer["status"] == "done":
                done = now
        if done is None:
            raise RuntimeError(f"job {job} was not done when its events ended")
        return Seen(done, first_preview)

    def _stream(self, job: str) -> Iterator[dict[str, Any]]:
        self._connection.request("GET", f"{self._system.status_path}{job}/events")
        with self._connection.getresponse() as response:
            for line in response:
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))

    def _poll(self, job: str) -> Iterator[dict[str, Any]]:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            answer = self.status(job)
            yield answer
            if answer["status"] in ENDED:
                return
            time.sleep(WATCH_SECONDS)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        """Ask once, and return the JSON of the answer. Raises RuntimeError for any status but 2xx."""
        self._connection.request(method, path, body, headers or {})
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {content[:300]!r}")
        return json.loads(content)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def has_preview(answer: dict[str, Any]) -> bool:
    """Whether an answer shows that a rendition is made; one that tells of no stages never does."""
    return any(stage["state"] == "done" for name, stage in answer.get("stages", {}).items() if name in PREVIEWS)


def run_load(system: System, photos: Sequence[bytes], *, jobs: int, in_flight: int, warm: int = 8) -> Sample:
    """Send `jobs` photos, so many in flight, after some that warm the system up; every one has to be done."""
    if warm:
        _run_jobs(system, photos, warm, min(warm, in_flight))
    before, own, start = system.usage(), time.process_time(), time.perf_counter()
    ended = _run_jobs(system, photos, jobs, in_flight)
    seconds, driver = time.perf_counter() - start, time.process_time() - own
    return Sample(system.name, seconds, ended, system.usage().since(before), driver * 1000 / jobs)


def _run_jobs(system: System, photos: Sequence[bytes], jobs: int, in_flight: int) -> list[EndedJob]:
    numbers, ended, errors = itertools.count(), list[EndedJob](), list[BaseException]()
    visitors = min(in_flight, jobs)

    def visit() -> None:
        try:
            with closing(BenchClient(system, visitors=visitors)) as visitor:
                while (number := next(numbers)) < jobs and not errors:
                    ended.append(visitor.job(photos[number % len(photos)]))
        except BaseException as error:  # noqa: BLE001  # raised by the thread that waits for all
            errors.append(error)

    threads = [threading.Thread(target=visit, daemon=True) for _ in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return ended

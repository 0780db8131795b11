"""Uploads without a pause through the page's own way in, and whether what was accepted came to its end."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeVar

import httpx
from PIL import Image

from tests.compose.failed import CheckFailed

PAUSE = 0.4  # seconds between uploads
SIZE = (1200, 900)
END_STATUSES = {"done", "failed", "dead", "cancelled"}
END_TIMEOUT_SECONDS = 480  # a message of a killed worker comes back after two minutes, a lost one with the sweeper

Found = TypeVar("Found")


def wait_until(look: Callable[[], Found], what: str, seconds: float) -> Found:
    """Look until something true is found, and return it. Raises `CheckFailed` once the time is up."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise CheckFailed(f"not within {seconds:g} s: {what}")
        time.sleep(0.3)
    return found


class LoadGenerator:
    """A client of the page's `/api` that keeps uploading in a thread; `accepted` are the jobs answered 202."""

    def __init__(self, front: str) -> None:
        self.client = httpx.Client(base_url=f"{front}/api", timeout=70)
        self.accepted: list[str] = []
        self.accepted_times: list[float] = []
        self.refused: Counter[str] = Counter()

    @contextmanager
    def keep_uploading(self) -> Iterator[None]:
        """Upload while the block runs."""
        stopped = threading.Event()

        def upload_until_stopped() -> None:
            while not stopped.wait(PAUSE):
                self._try()

        thread = threading.Thread(target=upload_until_stopped, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def upload(self, content: bytes) -> str:
        """Send one photo that must be taken, and return its `task_id`."""
        answer = self.client.post("/upload", files={"file": ("photo.jpg", content, "image/jpeg")})
        if answer.status_code != httpx.codes.ACCEPTED:
            raise CheckFailed(f"an upload was answered {answer.status_code}: {answer.text[:200]}")
        self.accepted.append(str(answer.json()["task_id"]))
        self.accepted_times.append(time.monotonic())
        return self.accepted[-1]

    def job(self, task_id: str, *, wait: int = 0) -> dict[str, Any]:
        """Return a job; its end, if it comes within `wait` seconds."""
        answer = self.client.get(f"/task-status/{task_id}", params={"wait": wait} if wait else None)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def wait_for_more_done(self, count: int, seconds: float) -> None:
        """Wait until `count` of the jobs that are accepted from now on are done: work goes on."""
        known = len(self.accepted)
        wait_until(lambda: self._done(self.accepted[known:]) >= count, f"{count} jobs more done", seconds)

    def longest_pause(self, since: float) -> float:
        """Return the longest time between two uploads that were taken, in seconds."""
        accepted_times = [since, *(moment for moment in self.accepted_times if moment > since)]
        return max((later - earlier for earlier, later in pairwise(accepted_times)), default=0)

    def wait_for_all_ended(self) -> Counter[str]:
        """Wait until every accepted job has ended; return how many ended in each state. Raises `CheckFailed`."""
        deadline = time.monotonic() + END_TIMEOUT_SECONDS
        ends: Counter[str] = Counter()
        for task_id in self.accepted:
            while (status := str(self.job(task_id, wait=30)["status"])) not in END_STATUSES:
                if time.monotonic() > deadline:
                    raise CheckFailed(f"{task_id} is still {status}: {self.job(task_id)}")
            ends[status] += 1
        return ends

    def previews(self, task_id: str) -> dict[str, bytes]:
        """Return the bytes of a job's renditions by name."""
        names = self.job(task_id)["renditions"]
        return {name: self.client.get(f"/result/{task_id}/{name}").raise_for_status().content for name in names}

    def _done(self, jobs: list[str]) -> int:
        try:
            return sum(self.job(task_id)["status"] == "done" for task_id in jobs)
        except httpx.HTTPError:  # while something is away
            return 0

    def _try(self) -> None:
        try:
            self.upload(draw_photo(len(self.accepted)))
        except CheckFailed as refusal:
            self.refused[str(refusal).split(":")[0]] += 1
        except httpx.HTTPError as error:
            self.refused[type(error).__name__] += 1


def draw_photo(number: int) -> bytes:
    """Return a small JPEG with grain, another for each number."""
    grain = Image.effect_noise(SIZE, 40 + number % 50)
    stream = io.BytesIO()
    Image.merge("RGB", (grain, grain.transpose(Image.Transpose.ROTATE_180), grain)).save(stream, "JPEG", quality=85)
    return stream.getvalue()

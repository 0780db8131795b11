"""A steady load: clients that upload to one gateway and the other, come back as they are told, and note every 202."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Self

import httpx

from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.tools.chaos.samples import Sample

CLIENTS = 3
MAX_UPLOADS = 10_000  # serials of what faults upload themselves are higher
TRIES = 12
RETRY_STATUSES = {409, 429, 503}  # 409: the earlier try with this Idempotency-Key is still held
BEGINNINGS = {"retry", "reprocess"}
SERVER_ERROR = 500
TIMEOUT = httpx.Timeout(15, connect=3)


@dataclass(kw_only=True)
class Upload:
    """One thing a client wants done, however often it has to ask; `task_id` is set by a 202."""

    serial: int
    sample: Sample
    answers: list[str] = field(default_factory=list)
    task_id: str | None = None
    is_raced: bool = False
    """Whether clients also cancel, delete and retry its job: it may end in other states, or be gone."""
    source_url: str | None = None
    """Where the gateway is to get it from; None for an upload of its bytes."""
    moves: tuple[str, ...] = ()
    """What clients do with its job later, one after another: retry, reprocess, delete, cancel."""
    move_answers: list[tuple[str, str]] = field(default_factory=list)
    """Each request for such a move, and the status of its answer."""

    @property
    def name(self) -> str:
        """Its file name, which no other upload has."""
        stem, _, ending = self.sample.name.rpartition(".")
        return f"{stem}-{self.serial}.{ending}"

    def count_lives(self) -> tuple[int, int]:
        """Return how many times its job has begun, at least and at most: some requests were not answered."""
        answers = [status for move, status in list(self.move_answers) if move in BEGINNINGS]
        least = 1 + answers.count(str(httpx.codes.ACCEPTED.value))
        return least, least + sum(not status.isdecimal() or int(status) >= SERVER_ERROR for status in answers)


class Load:
    """Uploads at `rate` a second in threads of its own, for as long as the context lasts and `is_paused` allows."""

    def __init__(
        self,
        urls: Mapping[str, str],
        choose: Callable[[int], Sample],
        *,
        rate: float,
        seed: int,
        is_paused: Callable[[], bool],
        prepare: Callable[[Upload], None] = lambda _: None,
    ) -> None:
        """`prepare` completes each upload before it is sent."""
        self._urls = list(urls.values())
        self._prepare = prepare
        self._choose = choose
        self._pause = CLIENTS / rate
        self._key = f"chaos-{seed}-{time.time_ns()}"
        self._is_held = is_paused
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._serials = count()
        self._threads = [threading.Thread(target=self._work, args=(Random(seed + i),)) for i in range(CLIENTS)]  # noqa: S311
        self.uploads: list[Upload] = []

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Send nothing new, and return once what was being sent has its answer."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def accepted(self) -> list[Upload]:
        """The uploads that were answered 202."""
        return [upload for upload in list(self.uploads) if upload.task_id is not None]

    def answers(self) -> Counter[str]:
        """Count what the gateways answered."""
        return Counter(answer for upload in list(self.uploads) for answer in upload.answers)

    def _work(self, random: Random) -> None:
        with httpx.Client(timeout=TIMEOUT, **HTTP_CLIENT_OPTIONS) as client:
            while not self._over.wait(self._pause * random.uniform(0.5, 1.5)):
                if len(self.uploads) < MAX_UPLOADS and not self._is_held():
                    self._deliver(client, self._next())

    def _next(self) -> Upload:
        with self._lock:
            serial = next(self._serials)
            upload = Upload(serial=serial, sample=self._choose(serial))
            self._prepare(upload)
            self.uploads.append(upload)
        return upload

    def _deliver(self, client: httpx.Client, upload: Upload) -> None:
        for attempt in range(TRIES):
            url = self._urls[(upload.serial + attempt) % len(self._urls)]
            pause = post_upload(client, url, upload, key=f"{self._key}-{upload.serial}")
            if pause is None:
                return
            time.sleep(pause)


def post_upload(client: httpx.Client, url: str, upload: Upload, *, key: str) -> float | None:
    """Ask once; how many seconds to wait before asking again, None when there is nothing more to ask."""
    sample = upload.sample
    name = "file"
    part: tuple[str | None, bytes] = (upload.name, sample.content)
    if upload.source_url is not None:
        name, part = "source_url", (None, upload.source_url.encode())
    try:
        answer = client.post(
            url + sample.path,
            files={name: part},
            data=dict(sample.fields),
            headers={"Idempotency-Key": key},
        )
    except httpx.TransportError:
        upload.answers.append("none")
        return 0.5
    upload.answers.append(str(answer.status_code))
    if answer.status_code == httpx.codes.ACCEPTED:
        upload.task_id = answer.json()["task_id"]
    elif answer.status_code in RETRY_STATUSES:
        return float(answer.headers.get("Retry-After", 1))
    return None

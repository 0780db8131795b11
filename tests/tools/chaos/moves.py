"""What clients do with jobs of the load: retry, reprocess, cancel and delete some, and come back until it is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle
from typing import Self

import httpx

from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.tools.chaos.load import TIMEOUT, Upload
from tests.tools.chaos.timing import ENDED_SECONDS
from tests.tools.chaos.witness import Witness, wait_for

MOVERS = 8
LOOK_SECONDS = 0.5  # a request each: the embedded database must have time for others
TRIES = 40
PAUSE_SECONDS = 0.5
FOR_DONE = (("reprocess",), ("delete",), ("cancel",), ("reprocess", "delete"), ("reprocess", "reprocess"))
FOR_FAILED = (("retry",), ("delete",), ("retry", "delete"), ("reprocess",))
UNANSWERED = "none"


def choose_moves(serial: int, *, fails: bool) -> tuple[str, ...]:
    """Return what is done with the job of every sixth upload."""
    turn, rest = divmod(serial, 6)
    choices: Sequence[tuple[str, ...]] = FOR_FAILED if fails else FOR_DONE
    return choices[turn % len(choices)] if rest == 1 else ()


class Mover:
    """Moves the jobs of uploads that are to be moved, in threads of its own, until the context ends and all are."""

    def __init__(self, urls: Sequence[str], witness: Witness, uploads: Sequence[Upload]) -> None:
        """`uploads` may grow."""
        self._urls, self._witness, self._uploads = cycle(urls), witness, uploads
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Return once all is done."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        begun: set[int] = set()
        with httpx.Client(timeout=TIMEOUT, **HTTP_CLIENT_OPTIONS) as client, ThreadPoolExecutor(MOVERS) as threads:
            is_last = False
            while not is_last:
                is_last = self._over.wait(LOOK_SECONDS)
                for upload in list(self._uploads):
                    if upload.moves and upload.task_id is not None and upload.serial not in begun:
                        begun.add(upload.serial)
                        threads.submit(self._move, client, upload)

    def _move(self, client: httpx.Client, upload: Upload) -> None:
        for move in upload.moves:
            if move != "cancel":
                wait_for(partial(self._witness.has_ended, str(upload.task_id)), ENDED_SECONDS, look=LOOK_SECONDS)
            for _ in range(TRIES):
                if post_move(client, next(self._urls), upload, move) not in {UNANSWERED, "503", "504"}:
                    break
                time.sleep(PAUSE_SECONDS)


def post_move(client: httpx.Client, url: str, upload: Upload, move: str) -> str:
    """Ask once for a move of the upload's job, record what is known then of its lives, and return the answer."""
    job = f"{url}/jobs/{upload.task_id}"
    try:
        answer = client.delete(job) if move in {"delete", "cancel"} else client.post(f"{job}/{move}")
    except httpx.TransportError:
        status = UNANSWERED
    else:
        status = str(answer.status_code)
    upload.move_answers.append((move, status))
    return status

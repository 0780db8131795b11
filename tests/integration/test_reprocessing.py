"""Jobs that are processed again with a changed preset, while workers are killed and clients fetch their results."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.local.stack import Stack
from tests.integration.api_helpers import get_status, submit_photo, wait_for_all, wait_until
from tests.integration.lone_gateway import run_lone_gateway
from tests.integration.progress import finalizations
from tests.support.http_options import HTTP_CLIENT_OPTIONS, HTTP_OPTIONS
from tests.support.images import decode_image, encode_image, photo

JOBS = 8
BEFORE = {"small": 160, "medium": 640, "large": 1600}
AFTER = {"small": 100, "card": 300, "zoom": 1200}


def widths(job: dict[str, Any]) -> dict[str, int]:
    return {name: rendition["width"] for name, rendition in job["renditions"].items()}


class Reader(threading.Thread):
    """A client that fetches the results of jobs in turn, and keeps what it gets."""

    def __init__(self, url: str, task_ids: list[str]) -> None:
        super().__init__(daemon=True)
        self._url, self._task_ids = url, task_ids
        self.stop = threading.Event()
        self.seen: dict[str, list[dict[str, int]]] = {task_id: [] for task_id in task_ids}
        self.small: dict[str, list[int]] = {task_id: [] for task_id in task_ids}
        self.statuses: set[int] = set()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
            while not self.stop.wait(0.02):
                for task_id in self._task_ids:
                    self.seen[task_id].append(widths(get_status(client, task_id)))
                    answer = client.get(f"/result/{task_id}/small")
                    self.statuses.add(answer.status_code)
                    self.small[task_id].append(decode_image(answer.content).width)


@contextmanager
def reading(url: str, task_ids: list[str]) -> Iterator[Reader]:
    reader = Reader(url, task_ids)
    reader.start()
    try:
        yield reader
    finally:
        reader.stop.set()
        reader.join()


def test_results_change_at_once_and_whole_while_a_worker_is_killed(
    client: httpx.Client, stack: Stack, blob_folder: Path, tmp_path: Path
) -> None:
    image = encode_image(photo(3000, 2000), "jpeg")
    task_ids = [submit_photo(client, image) for _ in range(JOBS)]
    assert [widths(job) for job in wait_for_all(client, task_ids)] == [BEFORE] * JOBS
    changed = {"DARKROOM_RENDITIONS": json.dumps(AFTER), "DARKROOM_BLOB_URL": blob_folder.as_uri()}

    with run_lone_gateway(stack, tmp_path, **changed) as gateway, reading(stack.url, task_ids) as reader:
        for task_id in task_ids:
            answer = httpx.post(f"{gateway.url}/jobs/{task_id}/reprocess", timeout=30, **HTTP_OPTIONS)
            assert answer.status_code == 202, answer.text
        wait_until(lambda: any(_is_resized(client, task_id) for task_id in task_ids), "a resize to run")
        children = stack.children("resize")
        stack.signal("resize", signal.SIGKILL)
        for child in children:
            _kill_quietly(child)
        jobs = wait_for_all(client, task_ids, seconds=90)

    assert [(job["status"], job["revision"], widths(job)) for job in jobs] == [("done", 1, AFTER)] * JOBS
    assert reader.statuses == {200}
    for task_id in task_ids:
        assert _without_repeats(reader.seen[task_id]) in ([BEFORE], [BEFORE, AFTER])
        assert _without_repeats(reader.small[task_id]) in ([160], [160, 100])
    assert finalizations(stack.mongo_url, task_ids) == {1}
    folders = [blob_folder / task_id for task_id in task_ids]
    wait_until(lambda: all(len(list(folder.iterdir())) == 1 + len(AFTER) for folder in folders), "the tidier")


def _is_resized(client: httpx.Client, task_id: str) -> bool:
    stages = get_status(client, task_id)["stages"]
    return any(stages[name]["state"] in {"running", "done"} for name in AFTER if name in stages)


def _without_repeats(values: list[Any]) -> list[Any]:
    return [value for number, value in enumerate(values) if number == 0 or value != values[number - 1]]


def _kill_quietly(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return

"""Many jobs reprocessed by one bulk action, while gateways and workers are killed and uploads go on."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from deploy.local.stack import Stack
from gateway.cli.app import run
from gateway.client import Client, RetryPolicy
from gateway.client.bulk_models import BulkStatus
from tests.integration.api_helpers import wait_until
from tests.integration.lone_gateway import run_lone_gateway
from tests.integration.progress import finalizations
from tests.support.images import decode_image, encode_image, photo

JOBS = 60
BEFORE = {"small": 160, "medium": 640, "large": 1600}
AFTER = {"small": 100, "card": 300}
Widths = dict[str, int]


def open_client(url: str) -> Client:
    return Client(url, retry_policy=RetryPolicy(seconds=60))


def widths(client: Client, task_id: str) -> Widths:
    return {name: rendition.width for name, rendition in client.status(task_id).renditions.items()}


class Traffic(threading.Thread):
    """A person who uploads and looks at the jobs in turn, meanwhile."""

    def __init__(self, url: str, task_ids: list[str], content: bytes) -> None:
        super().__init__(daemon=True)
        self._url, self._looked_at, self._content = url, task_ids, content
        self.stop = threading.Event()
        self.uploaded: list[str] = []
        self.seen: list[Widths] = []

    def run(self) -> None:
        with open_client(self._url) as client:
            while not self.stop.is_set():
                for task_id in self._looked_at[:: len(self._looked_at) // 10]:
                    self.seen.append(widths(client, task_id))
                self.uploaded.append(client.upload(self._content, name="meanwhile.jpg").task_id)
                self.stop.wait(0.1)


@contextmanager
def traffic(url: str, task_ids: list[str], content: bytes) -> Iterator[Traffic]:
    thread = Traffic(url, task_ids, content)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop.set()
        thread.join()


def test_sixty_jobs_are_reprocessed_while_gateways_and_a_worker_are_killed(
    client: httpx.Client,  # noqa: ARG001  # it cleans up behind the test before
    stack: Stack,
    blob_folder: Path,
    tmp_path: Path,
) -> None:
    image = encode_image(photo(1700, 1200), "jpeg", quality=60)
    changed = {"DARKROOM_RENDITIONS": json.dumps(AFTER), "DARKROOM_BLOB_URL": blob_folder.as_uri()}
    with open_client(stack.url) as darkroom:
        task_ids = [darkroom.upload(image).task_id for _ in range(JOBS)]
        for task_id in task_ids:
            darkroom.follow_to_end(task_id, timeout=90)
        assert widths(darkroom, task_ids[0]) == BEFORE

        with run_lone_gateway(stack, tmp_path, **changed) as lone, traffic(stack.url, task_ids, image) as people:
            with open_client(lone.url) as other:
                accepted = other.bulk("reprocess", task_ids=task_ids)
            wait_until(lambda: darkroom.bulk_status(accepted.bulk_id).done >= JOBS // 4, "a quarter to be done")
            lone.process.kill()
            stack.signal("gateway", signal.SIGKILL)
            children = stack.children("resize")
            stack.signal("resize", signal.SIGKILL)
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            ended = _wait_for_bulk(darkroom, accepted.bulk_id)
            jobs = [darkroom.follow_to_end(task_id, timeout=90) for task_id in task_ids]
        meanwhile = [darkroom.follow_to_end(task_id, timeout=90) for task_id in people.uploaded]

        assert (ended.status, ended.done, ended.skipped, ended.failed) == ("done", JOBS, 0, 0)
        assert {(job.status, job.revision, job.lane) for job in jobs} == {("done", 1, "bulk")}
        assert finalizations(stack.mongo_url, task_ids) == {1}
        assert [seen for seen in people.seen if seen not in (BEFORE, AFTER)] == []
        for job in jobs:
            for name, width in AFTER.items():
                assert decode_image(darkroom.result(job.task_id, name)).width == width
        assert meanwhile
        assert {job.status for job in meanwhile} == {"done"}


def _wait_for_bulk(darkroom: Client, bulk_id: str) -> BulkStatus:
    wait_until(lambda: darkroom.bulk_status(bulk_id).has_ended, "the bulk action")
    return darkroom.bulk_status(bulk_id)


def test_the_command_reprocesses_and_counts_first(
    stack: Stack, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_URL", stack.url)
    with open_client(stack.url) as darkroom:
        task_id = darkroom.upload(encode_image(photo(), "jpeg")).task_id
        darkroom.follow_to_end(task_id, timeout=60)

        counted = run(["bulk", "delete", task_id, "--dry-run", "--json"])
        counted_status = json.loads(capfd.readouterr().out)
        refused = run(["bulk", "delete", task_id])
        current = run(["reprocess", "--preset", "default", "--since", "10m", "--yes", "--json"])
        current_status = json.loads(capfd.readouterr().out)
        deleted = run(["bulk", "delete", task_id, "--yes"])

        assert (counted, counted_status["done"], counted_status["dry_run"]) == (0, 1, True)
        assert (refused, deleted) == (2, 0)
        assert current_status["matched"] >= 1
        assert current == (1 if current_status["failed"] else 0)
        assert "1 job deleted" in capfd.readouterr().out

"""The view in the terminal, on the running stack under a little load."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from deploy.local import metrics_addresses
from deploy.local.ports import free_port
from deploy.local.stack import Stack
from tests.integration.api_helpers import submit_photo, wait_for_end
from tests.support.images import encode_image, photo

INTERVAL = "5"
NUMBER = r"[\d.,]+"


def _top(stack: Stack, *options: str, status: int = 0, **environment: str) -> str:
    """Run it once, as a subprocess, and return what it printed."""
    told = {**os.environ, "DARKROOM_HOME": str(stack.folder), **environment}
    command = [sys.executable, "-m", "deploy.admin.top", "--once", *options]
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@contextmanager
def _load(client: httpx.Client) -> Iterator[None]:
    """Send photos, one after the other, until the block ends."""
    content, over = encode_image(photo(400, 300), "jpeg"), threading.Event()

    def send() -> None:
        while not over.wait(0.2):
            wait_for_end(client, submit_photo(client, content))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def _row(view: str, name: str) -> str:
    return next(line for line in view.splitlines() if re.match(rf"{name}\b", line))


@pytest.fixture(scope="module")
def view(stack: Stack, client: httpx.Client) -> str:
    """What `./run top --once` prints under load, after a job that failed."""
    truncated = encode_image(photo(400, 300), "jpeg")[:-4000]
    assert wait_for_end(client, submit_photo(client, truncated))["status"] == "failed"
    assert (
        wait_for_end(client, submit_photo(client, encode_image(photo(400, 300), "jpeg")))["status"] == "done"
    )  # all are there
    with _load(client):
        return _top(stack, "--interval", INTERVAL)


def test_a_stack_notes_where_its_processes_are(stack: Stack) -> None:
    assert metrics_addresses.read_metrics_urls(stack.folder) == stack.metrics_urls


def test_jobs_come_in_and_get_done(view: str) -> None:
    rates = [float(figure) for figure in _row(view, "a second").split()[2:]]

    taken, refused, done, *_ = rates
    assert taken > 0
    assert done > 0
    assert refused == 0


@pytest.mark.parametrize("stage", ["validate", "normalize", "small", "medium", "large", "finalize"])
def test_every_stage_ran_and_tells_how_long(view: str, stage: str) -> None:
    stages = view.partition("outcomes")[2]

    assert re.match(rf"{stage} +{NUMBER} +{NUMBER} m?s +{NUMBER} m?s +\d+ done", _row(stages, stage))


@pytest.mark.parametrize("queue", ["validate", "normalize", "resize", "finalize"])
def test_every_queue_tells_its_waits_and_its_workers(view: str, queue: str) -> None:
    row = _row(view.partition("waiting")[2], queue)

    assert re.match(rf"{queue} +\d+ +\S+( m?s)? +{NUMBER} m?s +{NUMBER} m?s +1/1 +[01]/1 +\d+ +{NUMBER} MiB +\d+", row)


def test_stores_and_failures_are_shown(view: str, client: httpx.Client) -> None:
    latest = client.get("/jobs", params={"status": "failed", "limit": 1}).json()["jobs"][0]

    assert re.search(rf"blobs {NUMBER} m?s +● mongo {NUMBER} m?s +● redis {NUMBER} m?s +room {NUMBER} [GT]iB of", view)
    assert latest["task_id"] in view
    assert latest["failure"]["code"] in view
    assert latest["failure"]["message"] in " ".join(view.split())


def test_who_does_not_answer_is_shown_as_down(stack: Stack) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    worker = stack.metrics_urls["resize"]

    shown = _top(stack, "--gateway", stack.url, "--worker", worker, "--worker", nobody, "--interval", "0.1")

    assert f"{nobody.removeprefix('http://')} is down: {nobody}/metrics does not answer" in shown
    assert "1/1" in _row(shown, "resize")


def test_when_nobody_answers_it_says_so_and_fails(stack: Stack) -> None:
    shown = _top(stack, "--gateway", f"http://127.0.0.1:{free_port()}", "--interval", "0.1", status=1)

    assert "is down" in shown
    assert "unknown: no gateway answers" in shown


def test_without_a_stack_it_says_what_to_do(stack: Stack) -> None:
    said = _top(stack, status=2, DARKROOM_HOME=str(stack.folder / "nowhere"))

    assert "./run up" in said
    assert "--gateway" in said


def test_a_gateway_with_keys_shows_failures_to_a_key(strict_stack: Stack) -> None:
    locked = _top(strict_stack, "--interval", "0.1")
    opened = _top(strict_stack, "--interval", "0.1", DARKROOM_API_KEY="key of max")

    assert "401" in locked.partition("latest failures")[2]
    assert "unknown" not in opened.partition("latest failures")[2]
    assert "1/1" in _row(opened, "resize")

"""Images that are fetched from URLs, on a whole stack: results, failures, a retry, and workers that are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.processes import OUTBOUND_WORKER, ROOT
from deploy.local.stack import Stack
from gateway.client import Client
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import get_status, wait_for_end, wait_for_image, wait_until
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.image_server import Scripted, ScriptedServer, run_scripted_server
from tests.support.images import photo_file
from tests.support.programs import run_program

PHOTO = photo_file(600, 400)
HALF = Scripted(PHOTO, headers={"ETag": '"one"'}, sent=len(PHOTO) // 2, is_silent=True)


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with run_scripted_server() as server:
        yield server


@pytest.fixture(scope="module")
def importing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that may fetch from this machine, and from no bucket."""
    environment = SHORT_TIMEOUTS | {
        "DARKROOM_OUTBOUND__ALLOW": '["127.0.0.0/8:*"]',
        "DARKROOM_FETCH__IDLE_TIMEOUT": "5",
    }
    folder = tmp_path_factory.mktemp("importing")
    with Stack(folder, shared_pool=2, outbound_pool=2, environment=environment) as stack:
        yield stack


@pytest.fixture(scope="module")
def http(importing: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=importing.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        yield client


def submit_url(client: httpx.Client, url: str, operation: str = "upload", **fields: str) -> str:
    """Post an address that must be accepted, and return the task id."""
    body = {name: (None, value) for name, value in {"source_url": url, **fields}.items()}
    answer = client.post(f"/{operation}", files=body)
    assert answer.status_code == 202, answer.text
    task_id: str = answer.json()["task_id"]
    return task_id


def names(stack: Stack, task_id: str) -> list[str]:
    """Return the names of a job's blobs."""
    folder = stack.blob_folder / task_id
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_an_address_becomes_previews(importing: Stack, http: httpx.Client, server: ScriptedServer) -> None:
    task_id = submit_url(http, server.script("/photo.jpg", Scripted(PHOTO)) + "?signature=secret")

    assert wait_for_image(http, task_id, "small").size == (160, 107)
    job = get_status(http, task_id)
    original = {name: job["original"][name] for name in ("name", "bytes", "sha256", "width")}
    digest = sha256(PHOTO).hexdigest()
    assert original == {"name": "photo.jpg", "bytes": len(PHOTO), "sha256": digest, "width": 600}
    assert job["source"] == {"url": f"{server.url}/photo.jpg", "key": None, "version": None}
    assert job["stages"]["fetch"]["worker"].startswith(OUTBOUND_WORKER)
    assert names(importing, task_id) == ["large.1", "medium.1", "original.1", "small.1"]


def test_an_address_is_operated_on_and_its_original_used_again(http: httpx.Client, server: ScriptedServer) -> None:
    first = submit_url(http, server.script("/first.jpg", Scripted(PHOTO)), "grayscale", format="png")
    assert wait_for_image(http, first).size == (600, 400)

    second = http.post("/resize", files={"source_task_id": (None, first), "width": (None, "60")}).json()["task_id"]

    assert wait_for_image(http, second).size == (60, 40)


def test_an_address_that_is_not_there_fails_the_job_which_a_retry_fetches(
    http: httpx.Client, server: ScriptedServer
) -> None:
    task_id = submit_url(http, server.script("/late.jpg", Scripted(status=404), Scripted(PHOTO)))
    job = wait_for_end(http, task_id)
    assert (job["status"], job["failure"]["code"], job["failure"]["message"]) == (
        "failed",
        "fetch_failed",
        "The server answered 404.",
    )
    assert job["stages"]["fetch"]["error_code"] == "fetch_failed"

    assert http.post(f"/jobs/{task_id}/retry").status_code == 202

    assert wait_for_end(http, task_id)["status"] == "done"


def test_a_server_that_fails_for_a_while_is_asked_again(http: httpx.Client, server: ScriptedServer) -> None:
    task_id = submit_url(http, server.script("/busy.jpg", Scripted(status=503), Scripted(status=500), Scripted(PHOTO)))

    job = wait_for_end(http, task_id)

    assert (job["status"], job["stages"]["fetch"]["attempts"]) == ("done", 3)


def test_a_server_that_fails_for_ever_fails_the_job(http: httpx.Client, server: ScriptedServer) -> None:
    job = wait_for_end(http, submit_url(http, server.script("/broken.jpg", Scripted(status=500))))

    assert (job["status"], job["failure"]["message"]) == ("failed", "The server answered 500.")
    assert job["stages"]["fetch"]["attempts"] == 4


@pytest.mark.parametrize("victim", ["child", "worker"])
def test_a_killed_fetch_is_done_again_and_leaves_nothing(
    importing: Stack, http: httpx.Client, server: ScriptedServer, victim: str
) -> None:
    url = server.script(f"/killed-{victim}.jpg", HALF, Scripted(PHOTO))
    task_id = submit_url(http, url)
    wait_until(lambda: any(each.path == f"/killed-{victim}.jpg" for each in server.requests), "the fetch to begin")

    children = importing.children(OUTBOUND_WORKER)
    if victim == "worker":
        importing.signal(OUTBOUND_WORKER, signal.SIGKILL)
    for child in children:
        _kill_quietly(child)

    job = wait_for_end(http, task_id, seconds=90)
    assert (job["status"], job["original"]["sha256"]) == ("done", sha256(PHOTO).hexdigest())
    original = f"original.{job['stages']['fetch']['attempts']}"
    wait_until(
        lambda: names(importing, task_id) == ["large.1", "medium.1", original, "small.1"], "what was left to be removed"
    )


def test_a_deleted_fetch_leaves_nothing(importing: Stack, http: httpx.Client, server: ScriptedServer) -> None:
    task_id = submit_url(http, server.script("/deleted.jpg", HALF))
    wait_until(lambda: any(each.path == "/deleted.jpg" for each in server.requests), "the fetch to begin")

    assert http.delete(f"/jobs/{task_id}").status_code == 204

    assert get_status(http, task_id)["status"] == "cancelled"
    wait_until(lambda: not Path(importing.blob_folder / task_id).exists(), "the folder to go")


def test_the_python_client_sends_addresses(importing: Stack, server: ScriptedServer) -> None:
    url = server.script("/client.jpg", Scripted(PHOTO))
    with Client(importing.url) as client:
        jobs = [client.upload(source_url=url), client.crop(source_url=url, aspect="1:1")]

        found: list[Any] = [client.wait_until_ended(job.task_id, timeout=60) for job in jobs]

    assert [(job.status, job.source.url) for job in found] == [("done", url)] * 2


def test_the_command_uploads_addresses_and_saves_the_results(
    importing: Stack, server: ScriptedServer, tmp_path: Path
) -> None:
    url = server.script("/command.jpg", Scripted(PHOTO)) + "?signature=secret"
    command = [sys.executable, "-m", "gateway.cli", "upload", url, "--out", str(tmp_path), "--json"]

    with run_program(
        *command, cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"DARKROOM_URL": importing.url}
    ) as run:
        output, _ = run.communicate(timeout=60)

    document = json.loads(output)
    assert (document["file"], document["status"]) == (f"{server.url}/command.jpg", "done")
    assert {"command-small.jpg", "command-large.jpg"} <= {path.name for path in tmp_path.iterdir()}


def _kill_quietly(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return

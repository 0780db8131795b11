"""A disk with the blobs that fills up: uploads are refused in time, and what was accepted finishes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from deploy.local.stack import Stack
from gateway.cli.exit_codes import ExitCode
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import upload, wait_for_all, wait_for_end, wait_until
from tests.integration.scraping import scrape
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import photo_file
from tests.support.programs import ROOT
from tests.support.small_disks import mount_small_disk

MIB = 1 << 20
DISK_BYTES, UPLOAD_BYTES, RESERVE_SHARE = 48 * MIB, 2 * MIB, 0.5
SENDERS, UPLOADS = 8, 40
PHOTO_BYTES = 1_000_000
small_photo = partial(photo_file, 96, 64)
ENVIRONMENT = SHORT_TIMEOUTS | {
    "DARKROOM_LIMITS__UPLOAD_BYTES": str(UPLOAD_BYTES),
    "DARKROOM_BLOBS__RESERVE_SHARE": str(RESERVE_SHARE),
    "DARKROOM_METRICS__LOOK_INTERVAL": "0.3",
}


@pytest.fixture(scope="module")
def small_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose blobs are on a small disk."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "blobs").mkdir()
    with (
        mount_small_disk(folder / "blobs", DISK_BYTES),
        Stack(folder, shared_pool=2, environment=ENVIRONMENT) as stack,
    ):
        yield stack


@pytest.fixture
def http(small_stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=small_stack.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        yield client


def free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def test_uploads_leave_room_in_which_all_accepted_jobs_finish(small_stack: Stack, http: httpx.Client) -> None:
    small_stack.stop_process("worker")
    content = photo_file(1200, 900).ljust(PHOTO_BYTES, b"\0")  # few large files: each job costs a fifth of a second
    with ThreadPoolExecutor(SENDERS) as senders:
        answers = list(senders.map(lambda _: upload(http, content), range(UPLOADS)))
    accepted = [answer.json()["task_id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]

    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(503, "storage_full")}
    assert free_bytes(small_stack.blob_folder) >= RESERVE_SHARE * DISK_BYTES
    assert len(accepted) >= (1 - RESERVE_SHARE) * DISK_BYTES // len(content) - SENDERS

    small_stack.start_process("worker")
    assert {job["status"] for job in wait_for_all(http, accepted)} == {"done"}
    assert http.get(f"/result/{accepted[0]}/large").status_code == 200

    for task_id in accepted:
        http.delete(f"/jobs/{task_id}").raise_for_status()
    wait_until(lambda: upload(http, small_photo()).status_code == 202, "uploads to go on")


def test_a_full_disk_is_told_and_uploads_go_on_once_there_is_room(
    small_stack: Stack, http: httpx.Client, tmp_path: Path
) -> None:
    photo_path = tmp_path / "photo.jpg"
    photo_path.write_bytes(small_photo())
    source = upload(http, small_photo()).raise_for_status().json()["task_id"]
    wait_for_end(http, source)
    filler = small_stack.blob_folder / "filler"
    filler.write_bytes(bytes(free_bytes(small_stack.blob_folder) - int(RESERVE_SHARE * DISK_BYTES)))
    wait_until(lambda: http.get("/readyz").json()["status"] == "degraded", "the gateway to see it")

    refused = upload(http, small_photo())
    cli = run_cli("upload", str(photo_path), "--url", small_stack.url)
    copied = http.post("/grayscale", files={"source_task_id": (None, source)})
    readiness, result = http.get("/readyz"), http.get(f"/result/{source}/small")
    wait_until(lambda: is_below_reserve(small_stack), "the metrics to show it")

    assert [(each.status_code, each.json()["code"]) for each in (refused, copied)] == [(503, "storage_full")] * 2
    assert cli.returncode == ExitCode.UNAVAILABLE
    assert "The server's disk is full" in cli.stdout
    assert refused.headers["retry-after"] == "60"
    assert (readiness.status_code, readiness.json()["checks"]["disk"]["error"]) == (200, "full")
    assert result.status_code == 200

    filler.unlink()
    wait_until(lambda: upload(http, small_photo()).status_code == 202, "uploads to go on")


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def is_below_reserve(stack: Stack) -> bool:
    """Whether the alert's condition holds."""
    metrics = scrape(stack, "gateway")
    return metrics["blob_store_free_bytes", ()] < metrics["blob_store_reserve_bytes", ()]

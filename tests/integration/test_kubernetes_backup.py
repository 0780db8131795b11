"""The CronJobs of deploy/kubernetes/components/backup, by their own scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx

from deploy.generate.kustomize import render
from deploy.local.stack import Stack
from tests.integration.api_helpers import submit_photo, wait_for_end
from tests.support.images import encode_image, photo
from tests.support.prometheus_config import ROOT

CONTAINERS = {
    each["metadata"]["name"]: each["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    for each in render(ROOT / "deploy/kubernetes/components/backup")
    if each["kind"] == "CronJob"
}


def run(name: str, backups: Path, stack: Stack, **environment: str) -> subprocess.CompletedProcess[str]:
    *shell, script = CONTAINERS[name]["command"]
    stores = {"DARKROOM_MONGO_URL": stack.mongo_url, "DARKROOM_BLOB_URL": stack.blob_folder.as_uri()}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [*shell, script.replace("/backups", str(backups))],
        env={**os.environ, "PATH": path, **stores, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_backup_takes_the_place_of_the_oldest_and_a_restore_takes_the_newest(
    client: httpx.Client, stack: Stack, tmp_path: Path
) -> None:
    job = wait_for_end(client, submit_photo(client, encode_image(photo(), "jpeg")))
    for left in ("2024-01-01T031700Z", "2024-01-02T031700Z", "2024-01-03T031700Z.unfinished"):
        (tmp_path / left / "documents").mkdir(parents=True)

    done = run("backup", tmp_path, stack, KEEP="2")

    assert done.returncode == 0, done.stderr
    kept, made = sorted(tmp_path.iterdir())
    assert kept.name == "2024-01-02T031700Z"
    assert job["task_id"].encode() in (made / "documents" / "jobs.bson").read_bytes()
    assert (made / "blobs" / job["task_id"]).is_dir()
    assert "not empty: restore into empty ones" in run("restore", tmp_path, stack).stderr


def test_a_backup_that_fails_removes_none(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "2024-01-01T031700Z").mkdir()

    done = run("backup", tmp_path, stack, KEEP="1", DARKROOM_MONGO_URL="no address")

    assert done.returncode == 1
    assert [each.name for each in tmp_path.iterdir()] == ["2024-01-01T031700Z"]

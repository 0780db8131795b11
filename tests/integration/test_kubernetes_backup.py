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


def run(name: str, backups: Path, stack: Stack, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a CronJob's command with its own environment, where /backups is another folder."""
    environment = {each["name"]: each["value"] for each in CONTAINERS[name]["env"]}
    environment["DARKROOM_BACKUP__TARGET"] = environment["DARKROOM_BACKUP__TARGET"].replace("/backups", str(backups))
    command = [part.replace("$(BACKUP)", environment.get("BACKUP", "")) for part in CONTAINERS[name]["command"]]
    stores = {"DARKROOM_MONGO_URL": stack.mongo_url, "DARKROOM_BLOB_URL": stack.blob_folder.as_uri()}
    environment.pop("BACKUP", None)
    return subprocess.run(
        [sys.executable, *command[1:]],
        env={**os.environ, **stores, **environment, **changes},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_backup_takes_the_place_of_the_oldest_and_a_restore_takes_the_newest(
    client: httpx.Client, stack: Stack, tmp_path: Path
) -> None:
    wait_for_end(client, submit_photo(client, encode_image(photo(), "jpeg")))
    for day in (1, 2, 3):
        (tmp_path / f"darkroom-2024010{day}T031700Z.tar").touch()

    done = run("backup", tmp_path, stack)

    assert done.returncode == 0, done.stderr
    kept = sorted(file.name for file in tmp_path.glob("*.tar"))
    assert kept[:2] == [f"darkroom-2024010{day}T031700Z.tar" for day in (2, 3)]
    assert (tmp_path / kept[2]).stat().st_size > 0
    assert "not empty" in run("restore", tmp_path, stack).stderr


def test_a_backup_that_fails_removes_none(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "darkroom-20240101T031700Z.tar").touch()

    done = run(
        "backup", tmp_path, stack, DARKROOM_MONGO_URL="mongodb://127.0.0.1:1/darkroom", DARKROOM_MONGO_TIMEOUT="1"
    )

    assert done.returncode == 1, done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["darkroom-20240101T031700Z.tar"]

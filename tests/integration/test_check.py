"""The check as an operator runs it: on stores that are there, on mistakes, and before the first start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.local.home import ROOT
from deploy.local.ports import free_port
from deploy.local.stack import Stack


def run_check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.admin.check", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def stores(stack: Stack, folder: Path) -> dict[str, str]:
    return {
        "DARKROOM_REDIS_URL": stack.redis_url,
        "DARKROOM_MONGO_URL": stack.mongo_url,
        "DARKROOM_BLOB_URL": folder.as_uri(),
    }


def test_stores_that_will_do_end_with_status_0(redis_and_mongo: Stack, tmp_path: Path) -> None:
    done = run_check(**stores(redis_and_mongo, tmp_path))

    assert done.returncode == 0, done.stdout
    assert "ok       settings  no mistakes" in done.stdout
    assert done.stdout.endswith(" 0 error\n")
    assert not done.stderr


def test_mistakes_and_absent_stores_are_all_told_with_status_1(redis_and_mongo: Stack, tmp_path: Path) -> None:
    mistakes = {"DARKROOM_RENDITION": "{}", "DARKROOM_ACCESS__MAX_QUEUE": "0"}
    absent = {"DARKROOM_MONGO_URL": f"mongodb://127.0.0.1:{free_port()}/darkroom", "DARKROOM_MONGO_TIMEOUT": "0.3"}

    done = run_check("--json", **stores(redis_and_mongo, tmp_path) | mistakes | absent)
    report: dict[str, Any] = json.loads(done.stdout)
    errors = [finding["text"] for finding in report["findings"] if finding["level"] == "error"]

    assert done.returncode == 1
    assert report["status"] == "error"
    assert [text.split(":")[0] for text in errors] == ["DARKROOM_RENDITION", "DARKROOM_ACCESS__MAX_QUEUE", "127.0.0.1"]
    assert any(finding["subject"] == "redis" and finding["level"] == "ok" for finding in report["findings"])


def test_before_the_first_start_there_is_nothing_to_ask(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    composed = {
        "DARKROOM_SECRETS_DIR": str(tmp_path),
        "DARKROOM_REDIS_URL": "",
        "DARKROOM_MONGO_URL": "",
        "DARKROOM_BROKER_URL": "",  # as .env may have it: Redis carries the messages, and nothing is to be created
        "DARKROOM_BLOB_URL": (tmp_path / "blobs").as_uri(),
    }

    done = run_check(**composed)

    assert done.returncode == 0, done.stdout
    assert done.stdout.count("it was never started") == 2

"""A process whose settings have mistakes ends at once, with a line for each and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.home import ROOT

MISTAKES = {
    "DARKROOM_RENDITION": "{}",
    "DARKROOM_LIMITS__PIXEL": "1",
    "DARKROOM_WORK__TIMELIMIT": "5",
    "DARKROOM_ACCESS__MAX_QUEUE": "0",
}
LINES = [
    "DARKROOM_LIMITS__PIXEL: there is no such setting. Did you mean DARKROOM_LIMITS__PIXELS?",
    "DARKROOM_RENDITION: there is no such setting. Did you mean DARKROOM_RENDITIONS?",
    "DARKROOM_WORK__TIMELIMIT: there is no such setting. Did you mean DARKROOM_WORK__TIME_LIMIT?",
    "DARKROOM_ACCESS__MAX_QUEUE: should be greater than or equal to 1",
]
WORKER = ("celery", "-A", "pipeline.worker", "worker", "-Q", "validate", "--concurrency", "1")


@pytest.mark.parametrize(
    "command",
    [("gateway", "--port", "0"), WORKER, ("pipeline.flower",), ("deploy.local", "up"), ("deploy.admin.backup", "run")],
    ids=["gateway", "worker", "flower", "up", "backup"],
)
def test_all_mistakes_are_told_in_a_line_each_and_nothing_starts(command: tuple[str, ...], tmp_path: Path) -> None:
    environment = {**os.environ, **MISTAKES, "DARKROOM_HOME": str(tmp_path / "home")}

    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert [line.removeprefix("darkroom: ").removeprefix("backup: ") for line in done.stderr.splitlines()] == LINES
    assert not done.stdout
    assert not (tmp_path / "home").exists()

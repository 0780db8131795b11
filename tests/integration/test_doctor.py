"""The doctor as a person calls it: from anywhere, before anything is installed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

from deploy.local.home import ROOT


def run_doctor(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "run", "doctor", *arguments],
        cwd=folder,
        env={**os.environ, "DARKROOM_HOME": str(folder / "home"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_doctor_tells_a_port_in_use_and_how_to_change_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = run_doctor(tmp_path, "up", DARKROOM_PORT=port)

    assert done.returncode == 1, done.stderr
    assert f"{port}, for the API, is in use by another program  -> Set another: DARKROOM_PORT=" in done.stdout
    assert not done.stderr
    assert not list(tmp_path.iterdir())


def test_the_doctor_reports_to_programs_too(tmp_path: Path) -> None:
    done = run_doctor(tmp_path, "compose", "--json", DOCKER_HOST=f"unix://{tmp_path}/no-engine")
    report = json.loads(done.stdout)

    assert done.returncode == 1
    assert report["status"] == "error"
    assert {"way", "docker", "memory", "disk", "ports"} <= {finding["subject"] for finding in report["findings"]}
    assert all(finding["action"] for finding in report["findings"] if finding["level"] == "error")

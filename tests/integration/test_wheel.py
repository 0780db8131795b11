"""The wheel that users install: the client and the command under a name of their own, and nothing of the server."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gateway import client
from tests.support.programs import ROOT

SERVER = {"gateway", "pipeline", "stages", "storage", "celery", "fastapi", "motor", "PIL", "redis"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by what is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(_copy(tmp_path_factory.mktemp("source")))], check=True)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is unpacked in, as an installer would."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_it_holds_one_package_and_its_metadata(installed: Path) -> None:
    names = {path.name.partition("-")[0] for path in installed.iterdir()}

    assert names == {"darkroom_client"}
    assert (installed / "darkroom_client" / "py.typed").exists()


def test_all_that_the_client_offers_is_imported_from_its_top(installed: Path) -> None:
    assert _run(installed, f"from darkroom_client import {', '.join(client.__all__)}") == ""


def test_the_client_and_the_command_import_nothing_of_the_server(installed: Path) -> None:
    said = _run(installed, "import darkroom_client, darkroom_client.cli.app, sys; print(*sys.modules)")

    assert {name.partition(".")[0] for name in said.split()} & SERVER == set()


def test_the_command_runs(installed: Path) -> None:
    assert "Usage: darkroom" in _run(installed, "from darkroom_client.cli.app import run; run(['--help'])")


def test_its_entry_point_is_there(installed: Path) -> None:
    [file] = installed.glob("*.dist-info/entry_points.txt")

    assert "darkroom = darkroom_client.cli.app:main" in file.read_text()


def test_it_holds_the_license_that_its_metadata_names(installed: Path) -> None:
    [license_file] = installed.glob("*.dist-info/licenses/LICENSE")
    [metadata] = installed.glob("*.dist-info/METADATA")

    assert license_file.read_text() == (ROOT / "LICENSE").read_text()
    assert {"License-Expression: Apache-2.0", "License-File: LICENSE"} <= set(metadata.read_text().splitlines())


def _copy(folder: Path) -> Path:
    """Copy what the wheel is made of: a build writes beside it."""
    for name in ("pyproject.toml", "LICENSE", "gateway", "pipeline/version.py", "deploy/docs/CLIENT.md"):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", str(ROOT / name), str(target)], check=True)
    return folder


def _run(installed: Path, code: str) -> str:
    """Run code where the checkout is not to be seen; return what it says."""
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(
        command, env={"PYTHONPATH": str(installed)}, cwd=installed, check=True, capture_output=True, text=True
    ).stdout

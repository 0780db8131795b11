"""The wheel that users install: the client and the command under a name of their own, and nothing of the server."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from gateway import client
from pipeline.version import VERSION
from tests.support.programs import ROOT

SERVER = {"gateway", "pipeline", "stages", "storage", "celery", "fastapi", "motor", "PIL", "redis"}
HEAVY = {"asyncio", "email", "httpx", "markdown_it", "pydantic", "pygments", "rich", "ssl"}
"""What takes longer to import than a help may take."""
STRANGER = """
from darkroom_client import Client, JobFailed, RetryPolicy

with Client(retry_policy=RetryPolicy(seconds=1)) as darkroom:
    task: str = darkroom.upload("photo.jpg", quality=80).task_id
    pixels: int = darkroom.wait_until_ended(task).renditions["small"].width
    content: bytes = darkroom.result(task, "small")
"""


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


@pytest.fixture(scope="module")
def stranger(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of somebody else, with an environment that has the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("stranger")
    venv.create(folder / "environment")
    [packages] = (folder / "environment").glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return folder


def test_it_holds_one_package_and_its_metadata(installed: Path) -> None:
    names = {path.name.partition("-")[0] for path in installed.iterdir()}

    assert names == {"darkroom_client"}
    assert (installed / "darkroom_client" / "py.typed").exists()


def test_a_strangers_project_sees_its_types(stranger: Path) -> None:
    assert "Success" in _check_types(stranger, STRANGER)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("from darkroom_client import Cleint", 'Module "darkroom_client" has no attribute "Cleint"'),
        ("import darkroom_client.client as c; c.Cleint", 'Module has no attribute "Cleint"'),
        ('darkroom.upload("photo.jpg", qualty=80)', 'Unexpected keyword argument "qualty"'),
        ('number: int = darkroom.result("id")', "Incompatible types in assignment"),
    ],
)
def test_a_strangers_project_sees_its_own_mistakes(stranger: Path, line: str, error: str) -> None:
    assert error in _check_types(stranger, f"{STRANGER}{line}\n")


def test_all_that_the_client_offers_is_imported_from_its_top(installed: Path) -> None:
    names = ", ".join(client.__all__)

    assert _run(installed, f"from darkroom_client import {names}; from darkroom_client import *; {names}") == ""


def test_a_name_that_the_client_does_not_offer_is_an_import_error(installed: Path) -> None:
    code = "try: from darkroom_client import Cleint\nexcept ImportError as error: print(error)"

    assert "cannot import name 'Cleint'" in _run(installed, code)


def test_the_client_and_the_command_import_nothing_of_the_server(installed: Path) -> None:
    said = _run(installed, "import darkroom_client, darkroom_client.cli.app, sys; print(*sys.modules)")

    assert {name.partition(".")[0] for name in said.split()} & SERVER == set()


def test_the_command_runs(installed: Path) -> None:
    assert "Usage: darkroom" in _run(installed, "from darkroom_client.cli.app import run; run(['--help'])")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], ["upload", "--help"], ["upload", "-h"], ["no"]])
def test_a_help_and_the_version_import_nothing_heavy(installed: Path, arguments: list[str]) -> None:
    code = f"from darkroom_client.cli.app import run; run({arguments}); import sys; print(*sys.modules)"

    imported = {name.partition(".")[0] for name in _run(installed, code).split()}

    assert "typer" in imported
    assert imported & HEAVY == set()


def test_the_client_imports_nothing_heavy_before_it_is_used(installed: Path) -> None:
    imported = _run(installed, "import darkroom_client, sys; print(*sys.modules)").split()

    assert {name.partition(".")[0] for name in imported} & HEAVY == set()


def test_the_command_completes_words_without_a_client(installed: Path) -> None:
    code = "from darkroom_client.cli.app import app; import atexit, sys; atexit.register(lambda: print(*sys.modules))"
    words = {"_DARKROOM_COMPLETE": "complete_bash", "COMP_WORDS": "darkroom gray", "COMP_CWORD": "1"}

    completion, *imported = _run(installed, f"{code}; app(prog_name='darkroom')", **words).split()

    assert completion == "grayscale"
    assert set(imported) & {"asyncio", "httpx", "rich"} == set()


def test_the_command_says_its_version(installed: Path) -> None:
    [metadata] = installed.glob("*.dist-info/METADATA")
    version = _run(installed, "from darkroom_client.cli.app import run; run(['--version'])")

    assert version == f"darkroom {VERSION}\n"
    assert f"Version: {VERSION}" in metadata.read_text().splitlines()


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


def _run(installed: Path, code: str, **variables: str) -> str:
    """Run code where the checkout is not to be seen; return what it says."""
    command = [sys.executable, "-P", "-c", code]
    environment = {"PYTHONPATH": str(installed), **variables}
    return subprocess.run(command, env=environment, cwd=installed, check=True, capture_output=True, text=True).stdout


def _check_types(stranger: Path, code: str) -> str:
    """Check a project's code as its author would, with the packages of the environment."""
    (stranger / "app.py").write_text(code)
    python = stranger / "environment" / "bin" / "python"
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), "app.py"]
    return subprocess.run(command, cwd=stranger, check=False, capture_output=True, text=True).stdout

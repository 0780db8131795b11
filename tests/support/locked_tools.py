"""Tools of other people that do not fit into the project's own lock: installed once for each content of their lock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "tools"
NPM = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
PIP = ("-m", "pip", "install", "-q", "--require-hashes", "--no-deps", "--only-binary", ":all:")
SECONDS = 200  # less than a test may take
FOLDER = Path(__file__).resolve().parents[1] / "integration" / "openapi_tools"


def install_npm_tools(folder: Path) -> Path:
    """Return the folder of programs of a package-lock.json, which has a hash for each package."""
    lock = folder / "package-lock.json"
    target = _install(lock, [shutil.which("npm") or "npm", *NPM], copies=[folder / "package.json", lock])
    return target / "node_modules" / ".bin"


def install_python_tools(lock: Path) -> Path:
    """Return the folder of packages of a lock, for PYTHONPATH."""
    return _install(lock, [sys.executable, *PIP, "--target", ".", "-r", str(lock)])


def _install(lock: Path, command: Sequence[str], *, copies: Sequence[Path] = ()) -> Path:
    """Install into a folder that is named by the lock's hash. Without the tool the test is skipped, in CI it fails."""
    target = CACHE / f"{lock.stem}-{sha256(lock.read_bytes()).hexdigest()[:16]}"
    if target.exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        for file in copies:
            shutil.copy(file, unfinished)
        failure = _run(command, unfinished)
        if failure:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{lock.name} could not be installed: {failure}")
        with suppress(OSError):  # another process was faster
            unfinished.replace(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _run(command: Sequence[str], folder: Path) -> str:
    """Run a command; return what went wrong, or nothing."""
    try:
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (run.stderr or run.stdout or "unknown") if run.returncode else ""


if __name__ == "__main__":  # .ci/run installs them while the cores are idle, rather than within a test
    install_npm_tools(FOLDER)
    install_python_tools(FOLDER / "requirements.lock")

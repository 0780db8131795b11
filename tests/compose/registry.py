"""A registry for the images, Debian's docker-registry, so that a published version is pulled as users pull it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from deploy.local.ports import free_port
from tests.compose.load import wait_until
from tests.support.programs import ROOT, run_logged_program

UNPACKED = ROOT / ".cache" / "docker-registry" / "usr" / "bin"


def find_registry() -> str | None:
    """Return the program; None where it is not installed."""
    return shutil.which("docker-registry") or shutil.which("docker-registry", path=str(UNPACKED))


@contextmanager
def run_registry(folder: Path) -> Iterator[str]:
    """Run a registry on a free port of 127.0.0.1, which an engine trusts without TLS; yield its address."""
    program = find_registry()
    assert program is not None
    address = f"127.0.0.1:{free_port()}"
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }
    file = folder / "registry.yml"
    file.write_text(json.dumps(settings), encoding="utf-8")
    with run_logged_program(program, "serve", str(file), log=folder / "registry.log"):
        wait_until(lambda: _answers(address), "an answer of the registry", 30)
        yield address


def push(image: str) -> None:
    """Push an image, and forget it here unless a container uses it, so that it must be pulled."""
    subprocess.run(["docker", "push", "-q", image], check=True, capture_output=True)
    subprocess.run(["docker", "image", "rm", image], check=False, capture_output=True)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/v2/").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False

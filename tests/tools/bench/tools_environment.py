"""Python packages that only one scenario needs: installed into environments of their own, apart from the lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(".cache/bench-environments")


def install_packages(name: str, *requirements: str, folder: Path = FOLDER) -> Path:
    """Return the folder of programs of an environment with these packages; RuntimeError says why there is none."""
    environment = (folder / name).resolve()
    stamp, wanted = environment / "installed", "\n".join(requirements)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return environment / "bin"
    base = getattr(sys, "_base_executable", sys.executable)
    _run(base, "-m", "venv", "--clear", str(environment))
    _run(str(environment / "bin/python"), "-m", "pip", "install", "-q", "--prefer-binary", *requirements)
    stamp.write_text(wanted, encoding="utf-8")
    return environment / "bin"


def _run(*command: str) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        last = (run.stderr or run.stdout).strip().splitlines()[-1:] or [f"exit status {run.returncode}"]
        raise RuntimeError(f"{Path(command[0]).name} {command[2]}: {last[0]}")

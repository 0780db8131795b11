"""Programs that run beside a test, and end with it, also when it is killed: no other module of tests starts any."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 10


def start(*command: str, environment: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[Any]:
    """Start a program that is killed with all its children once this process is gone.

    It leads a process group of its own, so that an interrupt at the terminal reaches the tests alone, which end it.
    `environment` is added to ours, `options` are Popen's.
    """
    defaults: dict[str, Any] = {"stdin": subprocess.DEVNULL, "env": {**os.environ, **(environment or {})}}
    process: subprocess.Popen[Any] = subprocess.Popen(command, process_group=0, **defaults | options)
    _tell("group", process.pid)
    return process


def end(process: subprocess.Popen[Any], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Ask a program to end, and see it gone."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    forget(process)


def forget(process: subprocess.Popen[Any]) -> None:
    """Note that a program has ended, with all its children."""
    _tell("group-ended", process.pid)


@contextmanager
def starting(*command: str, **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a program as `start` does, and see it gone after the block."""
    with start(*command, **options) as process:
        try:
            yield process
        finally:
            end(process)


@contextmanager
def running(*command: str, log: Path, **environment: str) -> Iterator[None]:
    """Run a program until the block ends, and see it gone after; what it says goes to `log`."""
    with (
        log.open("wb") as output,
        starting(*command, cwd=ROOT, stdout=output, stderr=output, environment=environment),
    ):
        yield


@contextmanager
def undoing(*command: str) -> Iterator[None]:
    """Run a command after the block, or once this process is gone: for what was made and is no program."""
    _tell("undo", list(command))
    try:
        yield
    finally:
        subprocess.run(command, check=True, capture_output=True)
        _tell("undone", list(command))


def _tell(what: str, about: object) -> None:
    """Tell our guardian."""
    stdin = _guardian().stdin
    assert stdin is not None
    stdin.write(json.dumps([what, about]).encode() + b"\n")


@cache
def _guardian() -> subprocess.Popen[bytes]:
    """Start the one guardian of this process."""
    guardian = subprocess.Popen(
        [sys.executable, "-I", "-S", str(ROOT / "tests" / "guardian.py")],
        stdin=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )

    def see_out() -> None:
        assert guardian.stdin is not None
        guardian.stdin.close()
        guardian.wait()

    atexit.register(see_out)
    return guardian

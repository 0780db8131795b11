"""Programs that run beside a test, and end with it, also when it is killed: no other module of tests starts any."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 10


def start_program(*command: str, environment: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[Any]:
    """Start a program that is killed with all its children once this process is gone.

    It leads a process group of its own, so that an interrupt at the terminal reaches the tests alone, which end it.
    `environment` is added to ours, `options` are Popen's.
    """
    defaults: dict[str, Any] = {"stdin": subprocess.DEVNULL, "env": {**os.environ, **(environment or {})}}
    process: subprocess.Popen[Any] = subprocess.Popen(command, process_group=0, **defaults | options)
    _notify_reaper("group", process.pid)
    return process


def stop_program(process: subprocess.Popen[Any], *, seconds: float = STOP_SECONDS) -> None:
    """Ask a program to end, and see it gone."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    report_end(process)


def report_end(process: subprocess.Popen[Any]) -> None:
    """Note that a program has ended, with all its children."""
    _notify_reaper("group-ended", process.pid)


@contextmanager
def run_program(*command: str, **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a program as `start_program` does, and see it gone after the block."""
    with start_program(*command, **options) as process:
        try:
            yield process
        finally:
            stop_program(process)


@contextmanager
def run_logged_program(*command: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[Any]]:
    """Run a program until the block ends, and see it gone after; what it says goes to `log`."""
    with (
        log.open("wb") as output,
        run_program(*command, cwd=ROOT, stdout=output, stderr=output, environment=environment) as process,
    ):
        yield process


@contextmanager
def run_afterwards(*command: str) -> Iterator[None]:
    """Run a command after the block, or once this process is gone: for what was made and is no program."""
    _notify_reaper("undo", list(command))
    try:
        yield
    finally:
        subprocess.run(command, check=True, capture_output=True)
        _notify_reaper("undone", list(command))


@dataclass(frozen=True, kw_only=True)
class Fork:
    """A run of a module's `main` in a process of its own, forked from one that has imported the module already.

    It has an exit status and files for descriptors as a program has, and starts thirty times as fast as Python does.
    """

    process: BaseProcess
    out: Path
    err: Path

    def wait(self, seconds: float) -> int:
        """Return the exit status, that of a signal negative. Kills what takes longer: TimeoutExpired."""
        self.process.join(seconds)
        status = self.process.exitcode
        if status is None:
            self.process.kill()
            self.process.join()
        assert self.process.pid
        _notify_reaper("group-ended", self.process.pid)
        if status is None:
            raise subprocess.TimeoutExpired(self.process.name, seconds)
        return status


def fork(module: str, *arguments: str, cwd: Path, env: Mapping[str, str], output: Path) -> Fork:
    """Run `module.main()` with these arguments and this environment; `output` is a folder for what it says.

    It is killed with all its children once this process is gone, and leads a group, like what `start_program` starts.
    """
    context = _fork_server(module)
    out, err = output / "stdout", output / "stderr"
    gate, gate_end = context.Pipe(duplex=False)
    command = {"module": module, "arguments": arguments, "cwd": cwd, "env": dict(env), "out": out, "err": err}
    process = context.Process(target=_run_main, args=(gate,), kwargs=command, name=module, daemon=True)
    process.start()
    gate.close()
    assert process.pid
    _notify_reaper("group", process.pid)
    with gate_end:
        gate_end.send_bytes(b"known")
    return Fork(process=process, out=out, err=err)


def _run_main(  # noqa: PLR0913  # a program's surroundings
    gate: Connection, *, module: str, arguments: tuple[str, ...], cwd: Path, env: dict[str, str], out: Path, err: Path
) -> None:
    """Become the program, in the fork."""
    os.setpgid(0, 0)
    gate.recv_bytes()  # from here on the reaper ends it; EOFError where nobody has told the reaper
    gate.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, file, mode in ((0, Path(os.devnull), "rb"), (1, out, "wb"), (2, err, "wb")):
        with file.open(mode) as opened:
            os.dup2(opened.fileno(), number)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv[:] = [module, *arguments]
    import_module(module).main()


@cache
def _fork_server(module: str) -> ForkServerContext:
    """Return what forks; the one server of this process imports the modules that are named before its first fork."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, module])
    return context


def _notify_reaper(what: str, about: object) -> None:
    """Tell our reaper."""
    stdin = _start_reaper().stdin
    assert stdin is not None
    stdin.write(json.dumps([what, about]).encode() + b"\n")


@cache
def _start_reaper() -> subprocess.Popen[bytes]:
    """Start the one reaper of this process."""
    reaper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(ROOT / "tests/support/reaper.py")],
        stdin=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )

    def see_out() -> None:
        assert reaper.stdin is not None
        reaper.stdin.close()
        reaper.wait()

    atexit.register(see_out)
    return reaper

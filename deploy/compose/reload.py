"""Run a command, and restart it when a Python file in a folder changes: for development.

    python -m deploy.compose.reload pipeline stages storage -- python -m pipeline ...

It compares modification times, which works on every system that can mount a folder into a container.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

INTERVAL = 1.0  # seconds between checks
STOP_TIMEOUT = 35.0  # seconds; less than the container's stop time-out of 40 s

Snapshot = dict[Path, int]


def snapshot(folders: Iterable[Path]) -> Snapshot:
    """Return the modification time of each Python file, in nanoseconds."""
    times: Snapshot = {}
    for folder in folders:
        for file in folder.rglob("*.py"):
            try:
                times[file] = file.stat().st_mtime_ns
            except FileNotFoundError:  # an editor replaces it at this moment
                continue
    return times


def main(arguments: list[str]) -> int:
    """Run until TERM or INT; then send TERM to the command."""
    if "--" not in arguments[1:-1]:
        print("usage: python -m deploy.compose.reload FOLDER... -- COMMAND...", file=sys.stderr)
        return 2
    split = arguments.index("--")
    folders, command = [Path(name) for name in arguments[:split]], arguments[split + 1 :]
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    while not stopping.is_set():
        before = snapshot(folders)
        with subprocess.Popen(command) as process:  # noqa: S603  # ours, from the compose file
            while not stopping.wait(INTERVAL) and snapshot(folders) == before:
                pass  # also after the command has ended: the next change may fix its error
            _stop(process)
        if not stopping.is_set():
            print("reload: a file has changed", file=sys.stderr, flush=True)
    return 0


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

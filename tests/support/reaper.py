"""Ends what a test process started once that process is gone: a program of its own, so that a kill cannot skip it.

Each line is JSON: ["group", ID] names a process group to kill in the end, ["undo", COMMAND] a command to run then;
["group-ended", ID] and ["undone", COMMAND] take them back. The end is that of stdin, which the system closes with the
test process. It is a process of its own, since a killed process does nothing more, and in a session of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

UNDO_SECONDS = 10


def main() -> None:
    """Listen until stdin ends, then kill and undo what is left, the latest first."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, str] = {}
    commands: list[list[str]] = []
    for line in sys.stdin:
        match json.loads(line):
            case ["group", int(group)]:
                groups[group] = find_start(group)
            case ["group-ended", int(group)]:
                groups.pop(group, None)
            case ["undo", list(command)]:
                commands.append(command)
            case ["undone", list(command)]:
                commands.remove(command)
    for group, start in reversed(groups.items()):
        if find_start(group) in {"", start}:  # else another process has got the number meanwhile
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
    for command in reversed(commands):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(command, check=False, timeout=UNDO_SECONDS)


def find_start(pid: int) -> str:
    """Return when a process was started, as the system counts; empty when it is gone, or where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


if __name__ == "__main__":
    main()

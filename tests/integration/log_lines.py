"""What the processes of a stack have logged, as the one who looks for something reads it."""

from __future__ import annotations

import json
from typing import Any

from deploy.local.stack import Stack
from pipeline.routing import QUEUES

Line = dict[str, Any]
LOGGED_PROCESSES = ("gateway", *QUEUES)


def find_log_lines(stack: Stack, word: str) -> list[Line]:
    """Return every line that names a word, of all processes, in order of time, with its writer as `process`."""
    found = [
        json.loads(line) | {"process": name}
        for name in LOGGED_PROCESSES
        for line in stack.log(name).split("\n")[:-1]  # what follows the last newline is still being written
        if word in line
    ]
    return sorted(found, key=lambda line: str(line["timestamp"]))


def select_events(lines: list[Line], *names: str) -> list[Line]:
    """Return the lines about some events."""
    return [line for line in lines if line["event"] in names]

"""What the processes of a stack have logged, as the one who looks for something reads it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from deploy.local.stack import Stack

Line = dict[str, Any]


def read_logs(stack: Stack) -> dict[str, str]:
    """Return the logs of the gateway and of each worker, by the name of the process."""
    with suppress(ProcessLookupError):
        stack.pid("gateway")  # before supervisord answers, it reads what was written before
    return {name: stack.log(name) for name in ("gateway", *stack.pools)}


def find_log_lines(stack: Stack, word: str) -> list[Line]:
    """Return every line that names a word, of all processes, in order of time, with its writer as `process`."""
    found = [
        json.loads(line) | {"process": name}
        for name, text in read_logs(stack).items()
        for line in text.split("\n")[:-1]  # what follows the last newline is still being written
        if word in line
    ]
    return sorted(found, key=lambda line: str(line["timestamp"]))


def select_events(lines: list[Line], *names: str) -> list[Line]:
    """Return the lines about some events."""
    return [line for line in lines if line["event"] in names]

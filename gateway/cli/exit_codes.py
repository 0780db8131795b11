"""Exit codes of the command, for scripts."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; `EXIT_CODES_HELP` describes each code."""

    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    REFUSED = 4
    INTERRUPTED = 130


EXIT_CODES_HELP = (
    "Exit codes: 0 success; 1 a job is failed, dead or cancelled, or an event is not delivered; 2 wrong usage, or a "
    "file cannot be read or written; 3 the gateway is unreachable, unavailable or busy; 4 the gateway refused the "
    "request; 130 interrupted."
)

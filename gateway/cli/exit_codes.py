"""ExitCode statuses: what a script may know of how a command ended."""

from __future__ import annotations

from enum import IntEnum

from gateway.client.problem import UNREADABLE, Problem
from gateway.client.retry import BUSY, KEY_IN_USE

SERVER_ERROR = 500


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    REFUSED = 4
    INTERRUPTED = 130


EXIT_CODES_HELP = (
    "ExitCode status: 0 all good; 1 a job failed, died or was cancelled; 2 usage, or a file that cannot be read or "
    "written; 3 the gateway cannot be reached, is unavailable or busy; 4 the gateway refused; 130 interrupted."
)


def exit_code_of(problem: Problem) -> ExitCode:
    """Return the status of a command that met a problem."""
    if problem.code == "job_failed":
        return ExitCode.JOB_FAILED
    is_theirs = problem.status in BUSY or problem.status >= SERVER_ERROR or problem.code in {UNREADABLE, KEY_IN_USE}
    return ExitCode.UNAVAILABLE if is_theirs else ExitCode.REFUSED

"""Exit codes of the command, for scripts."""

from __future__ import annotations

from enum import IntEnum

from ..client.problem import UNREADABLE, Problem
from ..client.retry import BUSY_STATUSES, KEY_IN_USE

SERVER_ERROR = 500


class ExitCode(IntEnum):
    """How a command ended; `EXIT_CODES_HELP` describes each code."""

    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    REFUSED = 4
    INTERRUPTED = 130


EXIT_CODES_HELP = (
    "Exit codes: 0 success; 1 a job is failed, dead or cancelled; 2 wrong usage, or a file cannot be read or "
    "written; 3 the gateway is unreachable, unavailable or busy; 4 the gateway refused the request; 130 interrupted."
)


def exit_code_of_problem(problem: Problem) -> ExitCode:
    """Return the exit code of a command that ended with this problem."""
    if problem.code == "job_failed":
        return ExitCode.JOB_FAILED
    is_gateway_error = (
        problem.status in BUSY_STATUSES or problem.status >= SERVER_ERROR or problem.code in {UNREADABLE, KEY_IN_USE}
    )
    return ExitCode.UNAVAILABLE if is_gateway_error else ExitCode.REFUSED

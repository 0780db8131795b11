"""The errors of calls, as sentences and as exit codes."""

from __future__ import annotations

from ..client.problem import UNREADABLE, Problem
from ..client.retry import BUSY_STATUSES, KEY_IN_USE, CallError
from .exit_codes import ExitCode

SERVER_ERROR = 500


def describe_error(failure: CallError) -> str:
    """Return the error of a call as a sentence."""
    if isinstance(failure, Problem):
        return str(failure)
    return f"No answer from the gateway: {str(failure) or type(failure).__name__}."


def exit_code_of_problem(problem: Problem) -> ExitCode:
    """Return the exit code of a command that ended with this problem."""
    if problem.code == "job_failed":
        return ExitCode.JOB_FAILED
    is_gateway_error = (
        problem.status in BUSY_STATUSES or problem.status >= SERVER_ERROR or problem.code in {UNREADABLE, KEY_IN_USE}
    )
    return ExitCode.UNAVAILABLE if is_gateway_error else ExitCode.REFUSED

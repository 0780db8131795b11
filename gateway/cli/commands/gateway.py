"""The commands about the gateway itself: capabilities and health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..command import command
from ..exit_codes import ExitCode
from ..humanize import pluralize

if TYPE_CHECKING:
    from ..session import Session


@command
def capabilities(session: Session) -> None:
    """Show the gateway's limits, formats, presets, steps and failure codes."""
    from ..gateway_views import capabilities_view

    with session.client() as darkroom:
        answer = darkroom.capabilities()
        session.print_result(answer, capabilities_view(answer))


@command
def health(session: Session) -> ExitCode:
    """Show whether the gateway accepts uploads, and the state of each dependency.

    The exit code is 3 if the gateway does not accept uploads.
    """
    from ..gateway_views import health_view

    with session.client(retry_seconds=0) as darkroom:
        answer = darkroom.health()
    session.print_result(answer, health_view(session.url, answer))
    if not answer.accepts_uploads:
        failures = pluralize(sum(not check.ok for check in answer.checks.values()), "dependency", "dependencies")
        session.print_note(f"{failures} unavailable: the gateway does not accept uploads now.", "red")
    return ExitCode.OK if answer.accepts_uploads else ExitCode.UNAVAILABLE

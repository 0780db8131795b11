"""The commands about the gateway itself: capabilities and health."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from ...client.models import Capabilities
from ..exit_codes import ExitCode
from ..humanize import format_bytes, format_duration, pluralize
from ..session import Session, command
from ..timeline import plain_table


@command
def capabilities(session: Session) -> None:
    """Show the gateway's limits, formats and failure codes."""
    with session.client() as darkroom:
        answer = darkroom.capabilities()
        session.print_result(answer, _capabilities_view(answer))


def _capabilities_view(answer: Capabilities) -> Group:
    facts = plain_table("name", "value")
    facts.show_header = False
    rows = {
        "input formats": ", ".join(answer.accepts),
        "output formats": ", ".join(answer.formats),
        "default quality": ", ".join(f"{name} {value}" for name, value in answer.default_quality.items()),
        "previews": ", ".join(f"{name} {edge} px" for name, edge in answer.renditions.items()),
        "operations": ", ".join(answer.operations),
        "limits": "\n".join(
            f"{name.replace('_', ' ')}: {format_bytes(value) if name.endswith('bytes') else f'{value:,}'}"
            for name, value in answer.limits.items()
        ),
        "results are kept for": format_duration(answer.result_seconds * 1000),
        "idempotency keys are kept for": format_duration(answer.idempotency_seconds * 1000),
    }
    for name, value in rows.items():
        facts.add_row(Text(name, "dim"), Text(value))
    refusals = plain_table("failure code", "meaning")
    for code, message in answer.refusals.items():
        refusals.add_row(code, Text(message))
    return Group(facts, Text(""), refusals)


@command
def health(session: Session) -> ExitCode:
    """Show whether the gateway accepts uploads, and the state of each dependency.

    The exit code is 3 if the gateway does not accept uploads.
    """
    with session.client(retry_seconds=0) as darkroom:
        answer = darkroom.health()
    table = plain_table("dependency", "state", ">answered in", "error")
    for name, check in answer.checks.items():
        state = Text("ok", "green") if check.ok else Text("unavailable", "bold red")
        table.add_row(name, state, format_duration(check.ms), check.error or "")
    style = {"ready": "green", "degraded": "yellow"}.get(answer.status, "bold red")
    failures = pluralize(sum(not check.ok for check in answer.checks.values()), "dependency", "dependencies")
    heading = Text.assemble((session.url, "bold"), "  ", (answer.status, style))
    session.print_result(answer, Group(heading, Text(""), table))
    if not answer.accepts_uploads:
        session.print_note(f"{failures} unavailable: the gateway does not accept uploads now.", "red")
    return ExitCode.OK if answer.accepts_uploads else ExitCode.UNAVAILABLE

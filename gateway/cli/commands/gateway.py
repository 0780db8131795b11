"""The commands about the gateway itself: its capabilities and its health."""

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
    """Show the limits and formats that the gateway works with."""
    with session.client() as darkroom:
        found = darkroom.capabilities()
        session.print_result(found, _capabilities(found))


def _capabilities(found: Capabilities) -> Group:
    facts = plain_table("what", "how")
    facts.show_header = False
    rows = {
        "takes": ", ".join(found.accepts),
        "gives": ", ".join(found.formats),
        "quality": ", ".join(f"{name} {value}" for name, value in found.default_quality.items()),
        "previews": ", ".join(f"{name} {edge} px" for name, edge in found.renditions.items()),
        "operations": ", ".join(found.operations),
        "limits": "\n".join(
            f"{name.replace('_', ' ')}: {format_bytes(value) if name.endswith('bytes') else f'{value:,}'}"
            for name, value in found.limits.items()
        ),
        "results kept": format_duration(found.result_seconds * 1000),
        "keys kept": format_duration(found.idempotency_seconds * 1000),
    }
    for what, how in rows.items():
        facts.add_row(Text(what, "dim"), Text(how))
    refusals = plain_table("a job may fail with", "because")
    for code, message in found.refusals.items():
        refusals.add_row(code, Text(message))
    return Group(facts, Text(""), refusals)


@command
def health(session: Session) -> ExitCode:
    """Show whether uploads are taken, and how each dependency does. Exits with 3 when they are not."""
    with session.client(retry_seconds=0) as darkroom:
        found = darkroom.health()
    table = plain_table("dependency", "state", ">answered in", "error")
    for name, check in found.checks.items():
        state = Text("ok", "green") if check.ok else Text("away", "bold red")
        table.add_row(name, state, format_duration(check.ms), check.error or "")
    style = {"ready": "green", "degraded": "yellow"}.get(found.status, "bold red")
    failures = pluralize(sum(not check.ok for check in found.checks.values()), "dependency", "dependencies")
    heading = Text.assemble((session.url, "bold"), "  ", (found.status, style))
    session.print_result(found, Group(heading, Text(""), table))
    if not found.accepts_uploads:
        session.print_note(f"{failures} away: uploads are not taken now.", "red")
    return ExitCode.OK if found.accepts_uploads else ExitCode.UNAVAILABLE

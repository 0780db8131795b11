"""What a gateway says about itself as text: its capabilities, and its state."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group
from rich.text import Text

from ..client.models import Capabilities, Readiness
from .humanize import format_bytes, format_duration
from .timeline import plain_table


def capabilities_view(answer: Capabilities) -> Group:
    """Return the view of the limits, formats and failure codes."""
    facts = plain_table("name", "value")
    facts.show_header = False
    rows = {
        "input formats": ", ".join(answer.accepts),
        "output formats": ", ".join(answer.formats),
        "default quality": ", ".join(f"{name} {value}" for name, value in answer.default_quality.items()),
        "previews": ", ".join(f"{name} {edge} px" for name, edge in answer.renditions.items()),
        "presets": ", ".join(answer.presets),
        "operations": ", ".join(answer.operations),
        "steps": ", ".join(answer.steps),
        "limits": _list_limits(answer.limits),
        "limits on presets": _list_limits(answer.preset_limits),
        "results are kept for": format_duration(answer.result_seconds * 1000),
        "idempotency keys are kept for": format_duration(answer.idempotency_seconds * 1000),
    }
    for name, value in rows.items():
        if value:  # an older gateway has no presets
            facts.add_row(Text(name, "dim"), Text(value))
    refusals = plain_table("failure code", "meaning")
    for code, message in answer.refusals.items():
        refusals.add_row(code, Text(message))
    return Group(facts, Text(""), refusals)


def _list_limits(limits: Mapping[str, int]) -> str:
    return "\n".join(
        f"{name.replace('_', ' ')}: {format_bytes(value) if name.endswith('bytes') else f'{value:,}'}"
        for name, value in limits.items()
    )


def health_view(url: str, answer: Readiness) -> Group:
    """Return the view of a gateway's state and its dependencies."""
    table = plain_table("dependency", "state", ">answered in", "error")
    for name, check in answer.checks.items():
        state = Text("ok", "green") if check.ok else Text("unavailable", "bold red")
        table.add_row(name, state, format_duration(check.ms), check.error or "")
    style = {"ready": "green", "degraded": "yellow"}.get(answer.status, "bold red")
    heading = Text.assemble((url, "bold"), "  ", (answer.status, style))
    return Group(heading, Text(""), table)

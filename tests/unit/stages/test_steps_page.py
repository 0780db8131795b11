"""The users' page lists each step with its parameters, their bounds, defaults and meanings."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from stages.steps.table import STEPS
from tests.support.programs import ROOT

PAGE = (ROOT / "deploy/docs/PRESETS.md").read_text(encoding="utf-8")


def rows_of(name: str) -> list[str]:
    """Return the rows of the table that say what the schema of a step says."""
    schema = TypeAdapter(STEPS[name]).json_schema()
    parameters = schema.get("properties", {})
    if not parameters:
        return [f"| `{name}` | | | | {schema['description'].partition(chr(10))[0]} |"]
    return [
        f"| {'' if number else f'`{name}` '}| `{parameter}`{'*' * (parameter == STEPS[name].SHORT)} "
        f"| {describe(kind)} |{describe_default(kind)} | {kind['description'].replace(chr(10), ' ')} |"
        for number, (parameter, kind) in enumerate(parameters.items())
    ]


def describe(kind: dict[str, Any]) -> str:
    if "anyOf" in kind:
        return " or ".join(describe(one) for one in kind["anyOf"] if one != {"type": "null"})
    if "const" in kind:
        return f"`{kind['const']}`"
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    if kind["type"] == "array":
        return f"{len(kind['prefixItems'])} x {describe(kind['prefixItems'][0])}"
    low = f"over {kind['exclusiveMinimum']}" if "exclusiveMinimum" in kind else f"{kind.get('minimum')}"
    bounds = f"{low} to {kind['maximum']}" if "maximum" in kind else f"at least {low}"
    return {
        "string": "text",
        "boolean": "`true`, `false`",
        "integer": f"whole number, {bounds}",
        "number": f"number, {bounds}",
    }[kind["type"]]


def describe_default(kind: dict[str, Any]) -> str:
    default = kind.get("default", "required")
    if default in (None, "required"):
        return " required" if default else ""
    return f" `{str(default).lower()}`" if isinstance(default, str | bool) else f" {default}"


@pytest.mark.parametrize("name", STEPS)
def test_the_page_lists_a_step_as_it_is(name: str) -> None:
    assert "\n".join(rows_of(name)) in PAGE

"""The files of a chart that say what a user may set: values.yaml, values-production.yaml and values.schema.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.generate.helm_chart.template import dump

TYPES = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a value goes: into the manifests whose kind, name and part match these patterns."""

    kind: str
    name: str
    pointer: str
    part: str = ".*"


@dataclass(frozen=True, kw_only=True)
class Value:
    """One entry of values.yaml."""

    path: str
    comment: str
    places: Sequence[Place] = ()
    """Its default is what the manifests have there, which this value replaces; with `lines`, what it is added to."""
    expression: str = ""
    lines: str = ""
    default: Any = None
    """For what no manifest has there."""
    production: Any = None
    """For what no manifest has there, if it differs with the stores outside."""
    types: Sequence[str] = ()


def render_values(values: Sequence[Value], defaults: Mapping[str, Any]) -> str:
    """Return values.yaml: every value in its order, below its comment."""
    return "".join(_render(values, {each.path: defaults[each.path] for each in values}))


def render_differences(values: Sequence[Value], defaults: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """Return a file with the values that differ."""
    return "".join(_render(values, {path: value for path, value in others.items() if value != defaults[path]}))


def _render(values: Sequence[Value], chosen: Mapping[str, Any]) -> Iterator[str]:
    open_sections: list[str] = []
    for value in values:
        if value.path not in chosen:
            continue
        *sections, name = value.path.split(".")
        shared = 0
        while shared < min(len(sections), len(open_sections)) and sections[shared] == open_sections[shared]:
            shared += 1
        if not sections or not shared:
            yield "\n"
        for depth, section in enumerate(sections[shared:], shared):
            yield f"{'  ' * depth}{section}:\n"
        open_sections = sections
        indent = "  " * len(sections)
        yield from (f"{indent}# {line}\n" for line in value.comment.splitlines())
        yield from (f"{indent}{line}\n" for line in dump({name: chosen[value.path]}).splitlines())


def render_schema(values: Sequence[Value], defaults: Mapping[str, Any]) -> str:
    """Return values.schema.json: an unknown name is a mistake, except within a value that is itself a mapping."""
    root: dict[str, Any] = {"$schema": "http://json-schema.org/draft-07/schema#", **_section()}
    root["properties"]["global"] = {"type": "object"}  # Helm's own
    for value in values:
        place = root
        *sections, name = value.path.split(".")
        for section in sections:
            place = place["properties"].setdefault(section, _section())
        types = list(value.types) or [TYPES[type(defaults[value.path])]]
        place["properties"][name] = {"type": types[0] if len(types) == 1 else types, "description": value.comment}
    return json.dumps(root, indent=2) + "\n"


def _section() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}

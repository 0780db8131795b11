"""The JSON Schema of the field `steps`: a text in a form, whose content is a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from gateway.submission.format_step import FORMAT, FormatStep
from gateway.submission.steps_field import MAX_BYTES
from pipeline.presets.steps import needs_no_parameters
from stages.steps.table import STEPS

EXAMPLE = '["grayscale", {"blur": 2}, {"format": "webp"}]'


def describe_steps(description: str, max_steps: int) -> dict[str, Any]:
    """Return the schema of the field. Its content is described in place: a reference would lead out of it.

    It has no `contentMediaType`: Swagger UI would ask for a file instead of a text.
    """
    items = {"anyOf": [{"enum": sorted(filter(needs_no_parameters, STEPS))}, *_list_steps()]}
    return {
        "type": "string",
        "description": description,
        "maxLength": MAX_BYTES,
        "contentSchema": {"type": "array", "items": items, "minItems": 1, "maxItems": max_steps},
        "examples": [EXAMPLE],
    }


def _list_steps() -> Iterator[dict[str, Any]]:
    """Yield the schema of each step as an object: its name with one value, or with its parameters."""
    for name, step in STEPS.items():
        yield _describe(name, _with_items(TypeAdapter(step).json_schema()), step.SHORT)
    yield _describe(FORMAT, FormatStep.model_json_schema(), FORMAT)


def _describe(name: str, parameters: dict[str, Any], short: str) -> dict[str, Any]:
    ways = [parameters, *([parameters["properties"][short]] if short else [])]
    return {
        "type": "object",
        "properties": {name: {"anyOf": ways} if short else parameters},
        "required": [name],
        "additionalProperties": False,
    }


def _with_items(schema: Any) -> Any:
    """Return a schema whose arrays have `items`, which some readers of OpenAPI need beside `prefixItems`."""
    if isinstance(schema, list):
        return [_with_items(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    items: dict[str, Any] = {"items": {}} if schema.get("type") == "array" else {}
    return items | {name: _with_items(each) for name, each in schema.items()}

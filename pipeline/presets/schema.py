"""The JSON Schema of a file of presets, for editors and other programs that write one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from pipeline.preset_settings import PresetLimits
from pipeline.presets.definition import NAME, PresetDefinition
from pipeline.presets.steps import needs_no_parameters
from pipeline.routing import STAGE_NAMES
from stages.steps.step import Step
from stages.steps.table import STEPS

ID = "urn:darkroom:schema:preset"
DEFINITIONS = "#/$defs/"


def build_schema(limits: PresetLimits) -> dict[str, Any]:
    """Return the schema (draft 2020-12), with these limits.

    It cannot say everything: the pixels of all files together, and whether an image file is there, only a load checks.
    """
    schema = PresetDefinition.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs")
    rendition = definitions["RenditionDefinition"]
    _describe_rendition(rendition, limits)
    renditions = schema["properties"]["renditions"]
    renditions.pop("patternProperties", None)
    renditions |= {
        "additionalProperties": {"$ref": f"{DEFINITIONS}RenditionDefinition"},
        "propertyNames": {"pattern": NAME, "not": {"enum": sorted(STAGE_NAMES)}},
        "maxProperties": limits.renditions,
    }
    steps = {f"step_{name}": _describe_step(step) for name, step in STEPS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Darkroom presets",
        "description": "Presets by their names. Each is a set of renditions that an upload can be made into.",
        "type": "object",
        "propertyNames": {"pattern": NAME},
        "additionalProperties": {"$ref": f"{DEFINITIONS}PresetDefinition"},
        "maxProperties": limits.presets,
        "$defs": definitions | {"PresetDefinition": schema} | steps,
    }


def _describe_rendition(rendition: dict[str, Any], limits: PresetLimits) -> None:
    """Complete what pydantic cannot know of a rendition: other ways to write a value, and rules about several."""
    properties = rendition["properties"]
    quality = properties["quality"]
    properties["quality"] = {
        "description": quality.pop("description"),
        "anyOf": [{"type": "integer", "minimum": 1, "maximum": 100}, quality],
    }
    properties["steps"] |= {"items": {"anyOf": list(_list_steps())}, "maxItems": limits.steps}
    if "watermark" in STEPS:
        properties["watermark"] |= {"$ref": f"{DEFINITIONS}step_watermark"}
        properties["watermark"].pop("anyOf")
    for name in ("formats", "dpr"):
        properties[name] |= {"uniqueItems": True, "maxItems": limits.variants}
    rendition["anyOf"] = [{"required": [name]} for name in ("edge", "width", "height")]
    rendition["dependentSchemas"] = {
        "edge": {"properties": {"width": False, "height": False, "fit": {"const": "inside"}}}
    }


def _list_steps() -> Iterator[dict[str, Any]]:
    """Yield every way to write each step: its name, or its name with one parameter, or with a table of them."""
    bare = list(filter(needs_no_parameters, STEPS))
    yield {"enum": bare}
    for name, step in STEPS.items():
        reference = {"$ref": f"{DEFINITIONS}step_{name}"}
        ways = [reference]
        if step.SHORT:
            ways.append({"$ref": f"{DEFINITIONS}step_{name}/properties/{step.SHORT}"})
        yield {
            "type": "object",
            "properties": {name: {"anyOf": ways} if len(ways) > 1 else reference},
            "required": [name],
            "additionalProperties": False,
        }


def _describe_step(step: type[Step]) -> dict[str, Any]:
    schema: dict[str, Any] = TypeAdapter(step).json_schema()
    return schema | {"additionalProperties": False}

"""Validates one table of a file of presets, and finds all its mistakes at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from difflib import get_close_matches
from inspect import signature
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.presets.definition import PresetDefinition, RenditionDefinition
from pipeline.presets.destination import DestinationDefinition
from pipeline.presets.key_template import find_placeholders
from pipeline.presets.mistakes import KEY, Location, describe_error, suggest
from pipeline.routing import STAGE_NAMES
from stages.steps.table import STEPS

SIZES = {"edge", "width", "height"}
RENDITION_DEPTH = 3
"""Parts of the location of a value in a rendition: `renditions`, its name, and the name of the value."""

ALTERNATIVE = re.compile(r"constrained-|literal\[|float$|int$|str$")
"""Pydantic's names of the types that a value may have: parts of a location that are in no file."""

Found = tuple[Location, str]
"""Where a mistake is in the table, and its sentence."""


def validate_table(table: dict[str, Any]) -> tuple[PresetDefinition | None, list[Found]]:
    """Return the definition, or what is left of it without its mistakes, and the mistakes.

    It is validated again without the values that are wrong: rules about several values are checked only then.
    """
    found: list[Found] = []
    repaired = deepcopy(table)
    while True:
        try:
            definition = PresetDefinition.model_validate_json(json.dumps(repaired, default=str), strict=True)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
            new = [each for each in _describe(errors, repaired) if each not in found]
            found += new
            if not new or not _repair(repaired, errors):
                return None, found
            continue
        return definition, [*found, *_check_preset(definition)]


def _describe(errors: list[ErrorDetails], table: dict[str, Any]) -> list[Found]:
    """Return the place of each error with its sentence. A list is not called empty because its items are wrong."""
    places = [error["loc"] for error in errors]
    found: dict[Location, str] = {}
    for error in errors:
        place = error["loc"]
        if error["type"] == "too_short" and any(len(other) > len(place) == _shared(other, place) for other in places):
            continue
        text = _describe_one(error, _step_at(place, table))
        value_place = tuple(part for part in place if not ALTERNATIVE.match(str(part)))
        found[value_place] = f"{found[value_place]} Or: {text}" if value_place in found else text
    return list(found.items())


def _describe_one(error: ErrorDetails, step: str | None) -> str:
    if step is not None and step not in STEPS and error["type"] == "value_error":
        return f"There is no step {step!r}. {suggest(step, STEPS)}"
    return describe_error(error, _known_names(error["loc"], step))


def _shared(one: Location, other: Location) -> int:
    return next((index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(other))


def _known_names(place: Location, step: str | None) -> Iterable[str]:
    if step in STEPS and len(place) > RENDITION_DEPTH:
        return signature(STEPS[step]).parameters
    parent: type[BaseModel] = PresetDefinition
    if len(place) > 1:
        parent = DestinationDefinition if place[0] == "destination" else RenditionDefinition
    return parent.model_fields


def _step_at(place: Location, table: dict[str, Any]) -> str | None:
    """Return the name of the step that the location is in."""
    if len(place) < RENDITION_DEPTH:
        return None
    if place[2] == "watermark":
        return "watermark"
    if place[2] != "steps" or len(place) == RENDITION_DEPTH:
        return None
    written = table["renditions"][place[1]]["steps"][place[3]]
    if isinstance(written, dict):
        return str(next(iter(written))) if len(written) == 1 else None
    return written if isinstance(written, str) else None


def _repair(table: dict[str, Any], errors: list[ErrorDetails]) -> bool:
    """Remove what is wrong from the table. Return whether something is left to validate.

    A wrong size becomes another one, or the next validation would miss it.
    """
    renditions = table.get("renditions")
    for error in errors:
        top, name, key, *_ = (*error["loc"], None, None, None)
        if top != "renditions" or name is None or not isinstance(renditions, dict):
            table.pop(str(top), None)
        elif name not in renditions:
            continue
        elif key is None and error["type"] == "rule":
            renditions[name]["edge"] = 1
        elif key is None or key == KEY:
            del renditions[name]
        else:
            _repair_rendition(renditions[name], str(key), is_unknown=error["type"] == "extra_forbidden")
    return bool(table.get("renditions"))


def _repair_rendition(rendition: dict[str, Any], key: str, *, is_unknown: bool) -> None:
    was = rendition.pop(key, None)
    if is_unknown:
        key = next(iter(get_close_matches(key, RenditionDefinition.model_fields, n=1, cutoff=0.6)), key)
    is_superfluous = key == "edge" and type(was) is int and was > 0 and SIZES & rendition.keys()
    if key in SIZES and not is_superfluous:
        rendition.setdefault(key, 1)


def _check_preset(definition: PresetDefinition) -> Iterator[Found]:
    """Yield the broken rules that only a file is held to: what a job stores has them settled."""
    others = [name for name, rendition in definition.renditions.items() if not rendition.is_plain]
    if "animated" in definition.fields and others:
        message = (
            "An upload can ask for animated previews only where each rendition is an edge in the format auto or webp, "
            f"at one density and without steps. Others are: {', '.join(others)}."
        )
        yield ("fields",), message
    for name in definition.renditions:
        if name in STAGE_NAMES:
            names = ", ".join(sorted(STAGE_NAMES))
            yield ("renditions", name), f"A rendition cannot have the name of a stage: {names}."
    yield from _check_keys(definition)


def _check_keys(definition: PresetDefinition) -> Iterator[Found]:
    """Yield what the template lacks so that no two files of a job have the same key, unless they have equal bytes."""
    if definition.destination is None or "sha256" in (names := find_placeholders(definition.destination.key)):
        return
    renditions = definition.renditions.values()
    needed = {
        "rendition": (len(renditions) > 1, "there are several renditions"),
        "ext": (any(len(each.formats) > 1 for each in renditions), "a rendition has several formats"),
        "dpr": (any(len(each.dpr) > 1 for each in renditions), "a rendition has several densities"),
    }
    for name, (is_needed, reason) in needed.items():
        if is_needed and name not in names:
            message = f"It needs {{{name}}}, or {{sha256}}: {reason}, and each file has a key of its own."
            yield ("destination", "key"), message

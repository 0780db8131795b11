"""The preset of an upload: which one it is, and the rules that a form breaks with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from pydantic import BaseModel

from gateway.permission import Permission
from gateway.problems import InvalidForm
from gateway.submission.forms import PreviewForm
from gateway.submission.misspellings import find_misspelt
from pipeline.presets.preset import DEFAULT_FIELDS, Preset
from pipeline.presets.registry import Presets, PresetUnknown

MAX_SHOWN = 64


class PresetRules:
    """The presets that one caller may upload with."""

    def __init__(self, presets: Presets, permission: Permission) -> None:
        self._presets = presets
        self._permission = permission

    def find_broken(self, form_type: type[BaseModel], fields: dict[str, str]) -> list[dict[str, Any]]:
        """Return the rules of presets that a form's fields break. Raises `PresetNotAllowed`."""
        if not issubclass(form_type, PreviewForm):
            return []
        name = self._permission.choose_preset(fields.get("preset"))
        try:
            preset = self._presets.get(name)
        except PresetUnknown:
            return [self._describe_unknown(name)]
        given = [field for field in DEFAULT_FIELDS if field in fields]
        return [*_find_not_allowed(preset, fields, given), *_find_broken_animation(preset, fields, given)]

    def get(self, name: str | None) -> Preset:
        """Return the preset of a form that names this one, or none. Raises `InvalidForm`, and `PresetNotAllowed`."""
        chosen = self._permission.choose_preset(name)
        try:
            return self._presets.get(chosen)
        except PresetUnknown:
            errors = [self._describe_unknown(chosen)]
            raise InvalidForm("The form names a preset that there is not.", errors=errors) from None

    def _describe_unknown(self, name: str) -> dict[str, Any]:
        allowed = self._permission.presets
        names = [preset.name for preset in self._presets if allowed is None or preset.name in allowed]
        shown = name if len(name) <= MAX_SHOWN else f"{name[:MAX_SHOWN]}…"
        return {
            "pointer": "/preset",
            "rule": "choice",
            "message": f"There is no preset {shown!r}. {_suggest(name, names)}",
            "limit": ", ".join(names),
            "actual": shown,
        }


def _suggest(name: str, names: Collection[str]) -> str:
    if misspelt := find_misspelt(name, names):
        return f"Did you mean {misspelt}?"
    return f"Use one of: {', '.join(names)}." if names else "There is none that the key or token allows."


def _find_not_allowed(preset: Preset, fields: dict[str, str], given: Iterable[str]) -> list[dict[str, Any]]:
    """Return a rule for each field that the preset does not let an upload override."""
    allowed = preset.definition.fields
    may = f"Only these may be given: {', '.join(sorted(allowed))}." if allowed else "Leave it out."
    return [
        {
            "pointer": f"/{name}",
            "rule": "not_allowed",
            "message": f"The preset {preset.name} sets the {name} itself. {may}",
            "limit": ", ".join(sorted(allowed)),
            "actual": fields[name][:MAX_SHOWN],
        }
        for name in given
        if name not in allowed
    ]


def _find_broken_animation(preset: Preset, fields: dict[str, str], given: Collection[str]) -> list[dict[str, Any]]:
    """Return the rule of an animation that the preset cannot make: its renditions are more than an edge each."""
    if "animated" not in given or "animated" not in preset.definition.fields:
        return []
    renditions = preset.resolve({}).renditions
    if still := [name for name, rendition in renditions.items() if not isinstance(rendition, int)]:
        message = f"The preset {preset.name} makes no animations: {', '.join(still)} has more than an edge."
        actual = fields["animated"][:MAX_SHOWN]
        return [{"pointer": "/animated", "rule": "not_allowed", "message": message, "actual": actual}]
    return []

"""The preset of an upload: which one it is, and the rules that a form breaks with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.permission import Permission
from gateway.problems import InvalidForm
from gateway.submission.misspellings import describe_unknown
from gateway.submission.rules import MAX_SHOWN, build_rule, shorten
from pipeline.presets.key_template import find_missing
from pipeline.presets.preset import DEFAULT_FIELDS, Preset
from pipeline.presets.registry import Presets, PresetUnknown

NOT_ALLOWED = "not_allowed"
"""The rule of a field that the preset does not let an upload override."""
MISSING_METADATA = "metadata"
"""The rule of a preset whose keys need metadata that the upload does not have."""


class PresetRules:
    """The presets that one caller may upload with."""

    def __init__(self, presets: Presets, permission: Permission) -> None:
        self._presets = presets
        self._permission = permission

    def find_broken(self, fields: dict[str, str]) -> list[dict[str, Any]]:
        """Return the rules of presets that the fields of an upload break. Raises `PresetNotAllowed`."""
        name = self._permission.choose_preset(fields.get("preset"))
        try:
            preset = self._presets.get(name)
        except PresetUnknown:
            return [self._describe_unknown(name)]
        given = [field for field in DEFAULT_FIELDS if field in fields]
        return [*_find_not_allowed(preset, fields, given), *self._find_missing_metadata(preset)]

    def get(self, name: str | None) -> Preset:
        """Return the preset of a form that names this one, or none. Raises `InvalidForm`, and `PresetNotAllowed`."""
        chosen = self._permission.choose_preset(name)
        try:
            preset = self._presets.get(chosen)
        except PresetUnknown:
            errors = [self._describe_unknown(chosen)]
            raise InvalidForm("The form names a preset that there is not.", errors=errors) from None
        if errors := self._find_missing_metadata(preset):
            raise InvalidForm("The preset needs metadata that the upload does not have.", errors=errors)
        return preset

    def _find_missing_metadata(self, preset: Preset) -> list[dict[str, Any]]:
        """Return a rule if the keys of the preset's objects need metadata that the token does not have."""
        message = explain_missing_metadata(preset, self._permission.metadata)
        if message is None:
            return []
        return [build_rule("/preset", MISSING_METADATA, f"{message} Upload with a token whose claim metadata has it.")]

    def _describe_unknown(self, name: str) -> dict[str, Any]:
        names = [preset.name for preset in self._permission.list_presets(self._presets)]
        message = f"There is no preset {shorten(name)!r}, and none that the key or token allows."
        if names:
            message = describe_unknown("preset", name, names)
        return build_rule("/preset", "choice", message, ", ".join(names), shorten(name))


def explain_missing_metadata(preset: Preset, metadata: Mapping[str, str]) -> str | None:
    """Return a sentence that says which metadata the keys of a preset's objects need and a job lacks; None: nothing."""
    destination = preset.definition.destination
    missing = find_missing(destination.key, metadata) if destination else []
    if not missing:
        return None
    names = " and ".join(missing)
    return f"The preset {preset.name} puts its results under keys that have the metadata {names}."


def _find_not_allowed(preset: Preset, fields: dict[str, str], given: Iterable[str]) -> list[dict[str, Any]]:
    """Return a rule for each field that the preset does not let an upload override."""
    allowed = preset.definition.fields
    may = f"Only these may be given: {', '.join(sorted(allowed))}." if allowed else "Leave it out."
    return [
        build_rule(
            f"/{name}",
            NOT_ALLOWED,
            f"The preset {preset.name} sets the {name} itself. {may}",
            ", ".join(sorted(allowed)),
            fields[name][:MAX_SHOWN],
        )
        for name in given
        if name not in allowed
    ]

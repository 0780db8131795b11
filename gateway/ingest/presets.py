"""The preset of the jobs that events become."""

from __future__ import annotations

from gateway.permission import Permission
from gateway.problems import InvalidRequest
from gateway.submission.misspellings import describe_unknown
from gateway.submission.preset_rules import MISSING_METADATA, explain_missing_metadata
from gateway.submission.rules import build_rule, shorten
from pipeline.presets.preset import Preset
from pipeline.presets.registry import Presets, PresetUnknown


def choose_preset(presets: Presets, permission: Permission, name: str | None) -> Preset:
    """Return a preset that the caller may use, by default that of an upload that names none.

    Raises `PresetNotAllowed`, `PresetsNotReady`, and `InvalidRequest` for one that there is not, or whose keys need
    metadata: events bring none, so none of the jobs could put its results into the bucket.
    """
    chosen = permission.choose_preset(name)
    try:
        preset = presets.get(chosen)
    except PresetUnknown:
        names = [preset.name for preset in permission.list_presets(presets)]
        message = describe_unknown("preset", shorten(chosen), names)
        rule = build_rule("/query/preset", "choice", message, ", ".join(names), shorten(chosen))
        raise InvalidRequest("There is no such preset.", errors=[rule]) from None
    if missing := explain_missing_metadata(preset, permission.metadata):
        sentence = f"{missing} Jobs of events have none."
        raise InvalidRequest(sentence, errors=[build_rule("/query/preset", MISSING_METADATA, sentence)])
    return preset

"""The presets of a bulk action: stored when it is accepted, so that every gateway carries it out with the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.presets.definition import PresetDefinition
from pipeline.presets.preset import Preset
from pipeline.presets.registry import Presets
from storage.bulk_actions import StoredPreset
from storage.documents import digests_of, list_assets


def store_presets(presets: Iterable[Preset]) -> dict[str, StoredPreset]:
    """Return presets as a bulk action stores them, by name."""
    return {
        preset.name: StoredPreset(
            definition=preset.definition.model_dump(mode="json", exclude_unset=True), assets=list_assets(preset.assets)
        )
        for preset in presets
    }


def restore_presets(stored: Mapping[str, StoredPreset], *, edges: Mapping[str, int]) -> Presets:
    """Return the presets that a bulk action stores; `edges` are those of the setting `renditions`.

    Raises pydantic's ValidationError for those of a newer version.
    """
    presets = Presets(edges)
    presets.put_in_force(
        {
            name: Preset(name, PresetDefinition.model_validate(preset.definition), digests_of(preset.assets))
            for name, preset in stored.items()
        }
    )
    return presets

"""The presets that are in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.presets.preset import DEFAULT, Preset, default_preset


class PresetUnknown(LookupError):
    """There is no preset with this name."""


class Presets:
    """The presets by name. One of them is `default`."""

    def __init__(self, edges: Mapping[str, int]) -> None:
        """Begin with the preset `default` of the setting `renditions`."""
        self._presets = {DEFAULT: default_preset(edges)}

    def __iter__(self) -> Iterator[Preset]:
        """Iterate over the presets, sorted by name."""
        return iter(sorted(self._presets.values(), key=lambda preset: preset.name))

    def get(self, name: str = DEFAULT) -> Preset:
        """Return a preset. Raises `PresetUnknown`."""
        try:
            return self._presets[name]
        except KeyError:
            raise PresetUnknown(name) from None
